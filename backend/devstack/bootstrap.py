"""`make setup`: installs everything that a machine with only python3, make and git lacks, and creates `.venv`.

Runs under the system's Python (`python3 -m backend.devstack.bootstrap setup`) and uses the standard library only. A stamp
file with the fingerprint of the lock file lets a repeated call return within milliseconds.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from backend.devstack.errors import DevstackError, EnvironmentNotMade, NoSuitablePython
from backend.devstack.packages import ensure_packages

UV_RANGE = "uv>=0.13,<0.14"
OLDEST_UV = (0, 13)
"""The oldest release that can read the revision of uv.lock in use."""
OLDEST_PYTHON, FIRST_UNSUPPORTED_PYTHON = (3, 11), (3, 14)
OTHER_PYTHONS = ("python3.13", "python3.12", "python3.11")
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
FINGERPRINTED_FILES = ("pyproject.toml", "uv.lock")


def fingerprint(root: Path, python: str) -> str:
    """Return a digest of everything the environment depends on."""
    digest = hashlib.sha256(python.encode())
    for name in FINGERPRINTED_FILES:
        digest.update(b"\0" + (root / name).read_bytes())
    return digest.hexdigest()


def environment_is_current(root: Path, python: str) -> bool:
    """Return whether `.venv` is complete and was built from the current lock file with this interpreter."""
    stamp = root / ".venv" / "dianming.stamp"
    complete = all((root / ".venv" / "bin" / name).exists() for name in ("python", "dianming"))
    return complete and stamp.is_file() and stamp.read_text() == fingerprint(root, python)


def supported(version: tuple[int, ...]) -> bool:
    """Whether the lock file was resolved for this version of Python."""
    return OLDEST_PYTHON <= version[:2] < FIRST_UNSUPPORTED_PYTHON


def choose_python() -> str:
    """Return the interpreter for the environment: the running one if supported, else another one on PATH."""
    if supported(sys.version_info[:2]):
        return sys.executable
    for name in OTHER_PYTHONS:
        if path := shutil.which(name):
            return path
    raise NoSuitablePython(found=".".join(map(str, sys.version_info[:3])))


def uv_version(text: str) -> tuple[int, ...]:
    """Parse `uv 0.13.8 (…)` into (0, 13, 8). Return () for any other text."""
    match = re.match(r"uv (\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, match.groups())) if match else ()


def find_uv(root: Path) -> str | None:
    """Find a uv that can read the lock file: first under `.local/tools`, then on PATH."""
    for path in (str(root / ".local" / "tools" / "bin" / "uv"), shutil.which("uv")):
        if path and Path(path).exists():
            output = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if uv_version(output) >= OLDEST_UV:
                return path
    return None


def run_step(name: str, command: list[str]) -> None:
    """Run a command with its output visible. A failure raises an error that names the step."""
    if subprocess.run(command, check=False).returncode != 0:
        raise EnvironmentNotMade(step=name)


def install_uv(root: Path) -> str:
    """Install uv into a virtual environment of its own. Recreates it, because an interrupted call may have left it incomplete."""
    print("安装 uv · Installing uv into .local/tools", flush=True)
    tools = root / ".local" / "tools"
    run_step("python3 -m venv", [sys.executable, "-m", "venv", "--clear", str(tools)])
    run_step(
        "pip install uv", [str(tools / "bin" / "pip"), "install", "--disable-pip-version-check", UV_RANGE]
    )
    return str(tools / "bin" / "uv")


def create_environment(root: Path, uv: str, python: str) -> None:
    """Create `.venv` exactly as locked. The stamp is written last, so an interrupted call can be repeated."""
    print(f"创建 Python 环境 · Creating .venv with {python}", flush=True)
    stamp = root / ".venv" / "dianming.stamp"
    stamp.unlink(missing_ok=True)
    options = ["--locked", "--python", python, "--no-python-downloads", "--project", str(root)]
    # Compile once here: where the shell sets PYTHONDONTWRITEBYTECODE, each process start would compile again.
    options += ["--compile-bytecode"]
    if SYSTEM_CERTIFICATES.exists():
        # Behind a TLS-inspecting proxy, only the system's certificate store has the proxy's CA. pip reads that store too.
        options += ["--system-certs"]
    run_step("uv sync --locked", [uv, "sync", *options])
    stamp.write_text(fingerprint(root, python))


def setup(root: Path) -> None:
    """Install everything that the other make targets need. Does nothing if it is already installed."""
    python = choose_python()
    current = environment_is_current(root, python)
    needs_venv = not current and find_uv(root) is None
    ensure_packages(needs_venv=needs_venv)
    if current:
        return
    create_environment(root, install_uv(root) if needs_venv else find_uv(root) or "uv", python)
    print("就绪 · Ready: .venv/bin/dianming", flush=True)


def main(arguments: list[str]) -> int:
    """Run the only supported command, `setup`."""
    if arguments != ["setup"]:
        print("用法 · usage: python3 -m backend.devstack.bootstrap setup", file=sys.stderr)
        return 2
    os.environ.pop(
        "VIRTUAL_ENV", None
    )  # else uv would install into the active environment of another project
    importlib.invalidate_caches()
    try:
        setup(Path(__file__).resolve().parents[2])
    except DevstackError as error:
        print(error.terminal_text(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
