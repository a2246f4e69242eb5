"""Chooses the data directory, the socket directory and the operating-system user of the services.

Three constraints decide: a socket path must fit into `sockaddr_un`, PostgreSQL does not run as root, and an unprivileged
user cannot access /root.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend.devstack.errors import DataOfAnotherUser, NoUnprivilegedUser, UnsafeDirectory

Purpose = Literal["run", "test", "demo", "bench", "faults"]
"""What the services are started for. Each purpose has its own cluster; `faults` has one per run. `run` and `bench` keep their
data (`bench` builds large databases once); the others start empty each time.
"""

MAX_SOCKET_PATH = 100
"""Bytes. Linux allows 107, other systems 103. PostgreSQL also creates a `.lock` file with a longer name."""
POSTGRES_PORT = 5432
"""Only part of the socket file's name. PostgreSQL does not listen on TCP."""
LONGEST_SOCKET_NAME = f".s.PGSQL.{POSTGRES_PORT}.lock"
SYSTEM_DATA = Path("/var/lib/dianming")
PREFERRED_USERS = ("dianming", "postgres", "nobody")
"""Tried in this order when started by root. The first one is created if possible."""


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """The operating-system user that the services run as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class StackLocation:
    """Data directory and socket directory of one purpose, and the user that owns both."""

    data: Path
    sockets: Path
    user: ServiceUser


def checkout_id(root: Path) -> str:
    """Return an identifier of fixed length for this checkout, derived from its path."""
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:12]


def choose_socket_directory(
    data: Path,
    root: Path,
    purpose: Purpose,
    *,
    short_base: Path = Path("/tmp"),  # noqa: S108 — created with mode 0700, owner checked
) -> Path:
    """Return `data`/sock if that path is short enough, else a private directory under `short_base`."""
    preferred = data / "sock"
    if len(os.fsencode(preferred / LONGEST_SOCKET_NAME)) < MAX_SOCKET_PATH:
        return preferred
    return short_base / f"dianming-{checkout_id(root)}-{purpose}"


def _find_user(name: str) -> ServiceUser | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return ServiceUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def find_service_user() -> ServiceUser:
    """Return the current user, or, when run by root, an unprivileged system user, created on first use."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return ServiceUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    preferred = PREFERRED_USERS[0]
    if _find_user(preferred) is None and shutil.which("useradd"):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run(
            ["useradd", *options, "--shell", "/usr/sbin/nologin", preferred], check=False, capture_output=True
        )
    for name in PREFERRED_USERS:
        if user := _find_user(name):
            return user
    raise NoUnprivilegedUser


def make_private_directory(directory: Path, user: ServiceUser) -> None:
    """Create `directory` with mode 0700, owned by `user`. Reject a symbolic link or another user's directory."""
    try:
        directory.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise UnsafeDirectory(path=directory) from None
        if status.st_uid not in {user.uid, os.geteuid()}:
            raise DataOfAnotherUser(path=directory, owner=_user_name(status.st_uid)) from None
    if os.geteuid() == 0:
        os.chown(directory, user.uid, user.gid)
    directory.chmod(0o700)


def run_as(
    user: ServiceUser, command: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as `user` and capture stdout and stderr together. Ctrl-C on the terminal does not reach it."""
    demoted = os.geteuid() != user.uid
    return subprocess.run(
        command,
        user=user.uid if demoted else None,
        group=user.gid if demoted else None,
        extra_groups=[] if demoted else None,
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        start_new_session=True,
    )


def write_as(user: ServiceUser, path: Path, text: str) -> None:
    """Write a file that `user` owns and no other user can read."""
    path.write_text(text)
    if os.geteuid() == 0:
        os.chown(path, user.uid, user.gid)
    path.chmod(0o600)


def user_can_write(directory: Path, user: ServiceUser) -> bool:
    """Return whether `user` can write to `directory`. Tries it, since modes, ACLs and mount options all matter."""
    script = 'cd "$1" && : > .tried && rm .tried'
    return run_as(user, ["sh", "-c", script, "sh", str(directory)]).returncode == 0


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make_local_directory(root: Path) -> Path:
    local = root / ".local"
    local.mkdir(exist_ok=True)
    if os.geteuid() == 0 and local.stat().st_uid == 0:
        local.chmod(0o755)
    return local


def _prepare_directory(directory: Path, user: ServiceUser) -> bool:
    try:
        make_private_directory(directory, user)
    except PermissionError:  # a mount without file owners, or a parent directory of another user
        return False
    return user_can_write(directory, user)


def _prepare_system_directory(root: Path, purpose: Purpose, user: ServiceUser, system_data: Path) -> Path:
    """Create the data directory under `system_data`, for a checkout that `user` cannot access, and print its path."""
    outside = system_data / checkout_id(root) / purpose
    print(f"用户 {user.name} 无法进入 {root}，数据放在 {outside}", flush=True)
    print(f"User {user.name} cannot access {root}; the data is in {outside}", flush=True)
    for parent in (system_data, outside.parent):
        parent.mkdir(parents=True, exist_ok=True)
        parent.chmod(0o755)
    make_private_directory(outside, user)
    return outside


def prepare_location(root: Path, purpose: Purpose, *, system_data: Path = SYSTEM_DATA) -> StackLocation:
    """Create and return the directories. Data goes to `.local/<purpose>` of the checkout, or to `/var/lib/dianming/…` if
    the service user cannot access the checkout.
    """
    user = find_service_user()
    local = _make_local_directory(root)
    data = local / purpose
    if not _prepare_directory(data, user):
        if os.geteuid() != 0:
            owned = data if data.exists() else local
            raise DataOfAnotherUser(path=owned, owner=_user_name(owned.stat().st_uid))
        with suppress(OSError):
            data.rmdir()
        data = _prepare_system_directory(root, purpose, user, system_data)
    sockets = choose_socket_directory(data, root, purpose)
    make_private_directory(sockets, user)
    return StackLocation(data=data, sockets=sockets, user=user)
