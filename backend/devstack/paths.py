"""Where the private services keep their data and sockets, and as whom they run.

A socket path must fit `sockaddr_un`; PostgreSQL refuses to run as root; an unprivileged user cannot see into /root.
These three facts decide everything here.
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
"""`run` keeps its data, and so does `bench`, whose large databases are built once; the others begin empty each time. Each
has a cluster of its own, `faults` one for each run.
"""

ROOMY_SOCKET_PATH = 100
"""Bytes. Linux allows 107, other systems 103; PostgreSQL adds `.lock` beside the socket."""
POSTGRES_PORT = 5432
"""Only part of the socket's file name; nothing listens on TCP."""
LONGEST_SOCKET_NAME = f".s.PGSQL.{POSTGRES_PORT}.lock"
SYSTEM_DATA = Path("/var/lib/dianming")
PREFERRED_USERS = ("dianming", "postgres", "nobody")
"""Tried in this order as root; the first is made if it can be."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user that the services run as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Place:
    """One purpose's directory of data, directory of sockets, and the account that owns both."""

    data: Path
    sockets: Path
    account: Account


def short_name(root: Path) -> str:
    """A name for this checkout that does not depend on how deep it lies."""
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:12]


def socket_directory(data: Path, root: Path, purpose: Purpose, *, short_base: Path = Path("/tmp")) -> Path:  # noqa: S108 — made 0700 and its owner checked
    """Beside the data where the path is short enough, else a short private directory under `short_base`."""
    beside = data / "sock"
    if len(os.fsencode(beside / LONGEST_SOCKET_NAME)) < ROOMY_SOCKET_PATH:
        return beside
    return short_base / f"dianming-{short_name(root)}-{purpose}"


def _account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def service_account() -> Account:
    """Ourselves, or as root an unprivileged system user, made on first use."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    preferred = PREFERRED_USERS[0]
    if _account(preferred) is None and shutil.which("useradd"):
        wanted = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run(
            ["useradd", *wanted, "--shell", "/usr/sbin/nologin", preferred], check=False, capture_output=True
        )
    for name in PREFERRED_USERS:
        if account := _account(name):
            return account
    raise NoUnprivilegedUser


def make_private(directory: Path, account: Account) -> None:
    """Make `directory` 0700 and the account's own; refuse a link or a directory that somebody else put there."""
    try:
        directory.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise UnsafeDirectory(path=directory) from None
        if found.st_uid not in {account.uid, os.geteuid()}:
            raise DataOfAnotherUser(path=directory, owner=_user_name(found.st_uid)) from None
    if os.geteuid() == 0:
        os.chown(directory, account.uid, account.gid)
    directory.chmod(0o700)


def run_as(
    account: Account, command: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run as the account, its words on one captured stream, out of reach of the terminal's Ctrl-C."""
    demoted = os.geteuid() != account.uid
    return subprocess.run(
        command,
        user=account.uid if demoted else None,
        group=account.gid if demoted else None,
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


def write_as(account: Account, path: Path, text: str) -> None:
    """Write a file that is the account's own and readable by nobody else, whoever we are."""
    path.write_text(text)
    if os.geteuid() == 0:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o600)


def account_can_use(directory: Path, account: Account) -> bool:
    """Whether the account can really write there: modes, access lists and mounts all have a say, so it is tried."""
    attempt = 'cd "$1" && : > .tried && rm .tried'
    return run_as(account, ["sh", "-c", attempt, "sh", str(directory)]).returncode == 0


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _open_up(root: Path) -> Path:
    local = root / ".local"
    local.mkdir(exist_ok=True)
    if os.geteuid() == 0 and local.stat().st_uid == 0:
        local.chmod(0o755)
    return local


def _try_directory(directory: Path, account: Account) -> bool:
    try:
        make_private(directory, account)
    except PermissionError:  # a mount that knows no owners, or a parent that is not ours
        return False
    return account_can_use(directory, account)


def _outside(root: Path, purpose: Purpose, account: Account, system_data: Path) -> Path:
    """The place for checkouts that the account cannot reach; told each time, so that nobody looks in vain."""
    outside = system_data / short_name(root) / purpose
    print(f"用户 {account.name} 无法进入 {root}，数据放在 {outside}", flush=True)
    print(f"User {account.name} cannot reach {root}; the data are kept in {outside}", flush=True)
    for parent in (system_data, outside.parent):
        parent.mkdir(parents=True, exist_ok=True)
        parent.chmod(0o755)
    make_private(outside, account)
    return outside


def find_place(root: Path, purpose: Purpose, *, system_data: Path = SYSTEM_DATA) -> Place:
    """`.local/<purpose>` of the checkout; as root, `/var/lib/dianming/…` where the account cannot reach that."""
    account = service_account()
    local = _open_up(root)
    data = local / purpose
    if not _try_directory(data, account):
        if os.geteuid() != 0:
            owned = data if data.exists() else local
            raise DataOfAnotherUser(path=owned, owner=_user_name(owned.stat().st_uid))
        with suppress(OSError):
            data.rmdir()
        data = _outside(root, purpose, account, system_data)
    sockets = socket_directory(data, root, purpose)
    make_private(sockets, account)
    return Place(data=data, sockets=sockets, account=account)
