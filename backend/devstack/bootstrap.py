"""`make setup`: from a machine with nothing but python3, make and git to `.venv/bin/dianming`.

Run by the system's `python3 -m backend.devstack.bootstrap setup`; standard library only. A stamp of the lock file makes the
second call a matter of milliseconds.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from backend.devstack.errors import EnvironmentNotMade, LocalRefusal, NoSuitablePython
from backend.devstack.packages import ensure_packages

UV_RANGE = "uv>=0.13,<0.14"
OLDEST_UV = (0, 13)
"""The oldest release that reads the revision of our uv.lock."""
OLDEST_PYTHON, FIRST_UNSUPPORTED_PYTHON = (3, 11), (3, 14)
OTHER_PYTHONS = ("python3.13", "python3.12", "python3.11")
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LOCKED_BY = ("pyproject.toml", "uv.lock")


def fingerprint(root: Path, python: str) -> str:
    """A digest of everything the environment is made from."""
    digest = hashlib.sha256(python.encode())
    for name in LOCKED_BY:
        digest.update(b"\0" + (root / name).read_bytes())
    return digest.hexdigest()


def environment_is_current(root: Path, python: str) -> bool:
    """Whether the environment was completely made from today's lock file by this interpreter."""
    stamp = root / ".venv" / "dianming.stamp"
    complete = all((root / ".venv" / "bin" / name).exists() for name in ("python", "dianming"))
    return complete and stamp.is_file() and stamp.read_text() == fingerprint(root, python)


def supported(version: tuple[int, ...]) -> bool:
    """Whether the lock file was resolved for this version of Python."""
    return OLDEST_PYTHON <= version[:2] < FIRST_UNSUPPORTED_PYTHON


def choose_python() -> str:
    """The interpreter for the environment: the one that runs this, or a supported one beside it."""
    if supported(sys.version_info[:2]):
        return sys.executable
    for name in OTHER_PYTHONS:
        if found := shutil.which(name):
            return found
    raise NoSuitablePython(found=".".join(map(str, sys.version_info[:3])))


def uv_version(text: str) -> tuple[int, ...]:
    """`uv 0.13.8 (…)` → (0, 13, 8); empty when it is something else."""
    found = re.match(r"uv (\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()


def find_uv(root: Path) -> str | None:
    """A uv that can read our lock file: our own under `.local/tools`, else the one on PATH."""
    for path in (str(root / ".local" / "tools" / "bin" / "uv"), shutil.which("uv")):
        if path and Path(path).exists():
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if uv_version(said) >= OLDEST_UV:
                return path
    return None


def run_step(name: str, command: list[str]) -> None:
    """Run with its output shown; a failure names the step."""
    if subprocess.run(command, check=False).returncode != 0:
        raise EnvironmentNotMade(step=name)


def install_uv(root: Path) -> str:
    """A small environment of its own for uv, made anew so that a half-made one does no harm."""
    print("安装 uv · Installing uv into .local/tools", flush=True)
    tools = root / ".local" / "tools"
    run_step("python3 -m venv", [sys.executable, "-m", "venv", "--clear", str(tools)])
    run_step(
        "pip install uv", [str(tools / "bin" / "pip"), "install", "--disable-pip-version-check", UV_RANGE]
    )
    return str(tools / "bin" / "uv")


def make_environment(root: Path, uv: str, python: str) -> None:
    """Make `.venv` exactly as locked; the stamp is written last, so an interrupted call is simply repeated."""
    print(f"创建 Python 环境 · Making .venv with {python}", flush=True)
    stamp = root / ".venv" / "dianming.stamp"
    stamp.unlink(missing_ok=True)
    options = ["--locked", "--python", python, "--no-python-downloads", "--project", str(root)]
    # Once here instead of at every start of a process, where the shell sets PYTHONDONTWRITEBYTECODE.
    options += ["--compile-bytecode"]
    if SYSTEM_CERTIFICATES.exists():
        # Behind an inspecting proxy only the system's store knows its authority; pip reads that store too.
        options += ["--system-certs"]
    run_step("uv sync --locked", [uv, "sync", *options])
    stamp.write_text(fingerprint(root, python))


def setup(root: Path) -> None:
    """Bring the machine to the state that the other targets need; does nothing when it is there."""
    python = choose_python()
    current = environment_is_current(root, python)
    needs_venv = not current and find_uv(root) is None
    ensure_packages(needs_venv=needs_venv)
    if current:
        return
    make_environment(root, install_uv(root) if needs_venv else find_uv(root) or "uv", python)
    print("就绪 · Ready: .venv/bin/dianming", flush=True)


def main(arguments: list[str]) -> int:
    """`setup` is the only word it knows."""
    if arguments != ["setup"]:
        print("用法 · usage: python3 -m backend.devstack.bootstrap setup", file=sys.stderr)
        return 2
    os.environ.pop("VIRTUAL_ENV", None)  # an activated environment of another project is not ours to fill
    importlib.invalidate_caches()
    try:
        setup(Path(__file__).resolve().parents[2])
    except LocalRefusal as refusal:
        print(refusal.lines(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
