"""The Debian packages the house stands on: which are missing, and how they get here.

Standard library only: it runs before any environment exists.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backend.devstack.errors import PackagesMissing, PackagesNotInstalled, UnknownSystem

OLDEST_POSTGRES = 15
POSTGRES_PROGRAMS = Path("/usr/lib/postgresql")
POSTGRES_SHARED = Path("/usr/share/postgresql")
FALLBACK_POSTGIS = "postgresql-15-postgis-3"
"""What Debian 12 calls it, said when no package list is at hand to ask."""
REDIS_PROGRAMS = ("redis-server", "valkey-server")
_POSTGIS_PACKAGE = re.compile(r"postgresql-(\d+)-postgis-3")

INSTALL_SCRIPT = """
set -e
export DEBIAN_FRONTEND=noninteractive
update=$1; shift
made=
clean() { for f in $made; do rm -f "$f"; done; }
trap clean EXIT
fresh_postgres=yes; [ -e /etc/postgresql-common/createcluster.conf ] && fresh_postgres=
fresh_redis=yes; [ -e /etc/redis/redis.conf ] && fresh_redis=
fresh_nginx=yes; [ -e /etc/nginx/nginx.conf ] && fresh_nginx=
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    made="$made /usr/sbin/policy-rc.d"
fi
drop_in=/etc/postgresql-common/createcluster.d/dianming.conf
if [ ! -e $drop_in ]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' > $drop_in
    made="$made $drop_in"
fi
get() { apt-get -y -o Dpkg::Use-Pty=0 "$@"; }
if [ "$update" = update ]; then get update; fi
get install --no-install-recommends "$@" || { get update && get install --no-install-recommends "$@"; }
if [ -d /run/systemd/system ]; then
    if [ -n "$fresh_postgres" ]; then systemctl disable postgresql.service || true; fi
    if [ -n "$fresh_redis" ]; then systemctl disable redis-server.service || true; fi
    if [ -n "$fresh_nginx" ]; then systemctl disable nginx.service || true; fi
fi
"""
"""Run with rights. Installs without starting, creating or enabling any system-wide service: the house keeps
its own private ones. What it puts in the way for that (policy-rc.d, a createcluster setting) it removes;
services that were there before are left as they were."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has already."""

    postgis_versions: tuple[int, ...]
    """Major versions of PostgreSQL that are installed together with PostGIS, ascending."""
    postgres_versions: tuple[int, ...]
    redis: str | None
    nginx: str | None
    """Stands before two API processes in the fault harness, as it does in production."""
    makes_environments: bool
    """Whether `python3 -m venv` works; Debian ships it apart."""


def postgres_versions(programs: Path = POSTGRES_PROGRAMS) -> tuple[int, ...]:
    """Major versions whose server is installed, ascending."""
    found = (d.parent.parent.name for d in programs.glob("*/bin/initdb"))
    return tuple(sorted(int(name) for name in found if name.isdigit()))


def postgis_versions(programs: Path = POSTGRES_PROGRAMS, shared: Path = POSTGRES_SHARED) -> tuple[int, ...]:
    """Major versions, from the oldest supported one, whose server and PostGIS are both installed."""
    return tuple(
        version
        for version in postgres_versions(programs)
        if version >= OLDEST_POSTGRES and (shared / str(version) / "extension" / "postgis.control").is_file()
    )


def redis_program() -> str | None:
    """The path of the Redis server, or of the server that replaced it in newer Debian."""
    return next((path for name in REDIS_PROGRAMS if (path := shutil.which(name))), None)


def nginx_program() -> str | None:
    """The path of nginx, which an unprivileged user's PATH does not show on Debian."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def inspect_machine() -> Machine:
    """Look, change nothing; takes milliseconds."""
    return Machine(
        postgis_versions=postgis_versions(),
        postgres_versions=postgres_versions(),
        redis=redis_program(),
        nginx=nginx_program(),
        makes_environments=importlib.util.find_spec("ensurepip") is not None,
    )


def postgis_package(offered: Iterable[str], installed_servers: Iterable[int]) -> str:
    """The PostGIS package to install: for a server already here if there is one, else the newest offered."""
    versions = {int(m[1]) for name in offered if (m := _POSTGIS_PACKAGE.fullmatch(name))}
    usable = {v for v in versions if v >= OLDEST_POSTGRES}
    if not usable:
        return FALLBACK_POSTGIS
    return f"postgresql-{max(usable & set(installed_servers) or usable)}-postgis-3"


def missing_packages(machine: Machine, offered: Iterable[str], *, needs_venv: bool) -> tuple[str, ...]:
    """Names of the Debian packages to install, empty on a machine that has everything."""
    missing = []
    if not machine.postgis_versions:
        missing.append(postgis_package(offered, machine.postgres_versions))
    if machine.redis is None:
        missing.append("redis-server")
    if machine.nginx is None:
        missing.append("nginx-light")
    if needs_venv and not machine.makes_environments:
        missing.append("python3-venv")
    return tuple(missing)


def offered_packages() -> frozenset[str]:
    """The PostgreSQL packages that apt knows of; empty where its lists are."""
    if shutil.which("apt-cache") is None:
        return frozenset()
    listed = subprocess.run(
        ["apt-cache", "pkgnames", "postgresql-"], capture_output=True, text=True, check=False
    )
    return frozenset(listed.stdout.split())


def lists_are_empty(lists: Path = Path("/var/lib/apt/lists")) -> bool:
    """Whether apt has never been updated here, as on a fresh image."""
    return not any(lists.glob("*_Packages*"))


def rights() -> tuple[str, ...] | None:
    """The words that put a command under root: none as root, `sudo -n`, or None where there is no way."""
    if os.geteuid() == 0:
        return ()
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ("sudo", "-n")
    return None


def command_for_a_person(packages: Iterable[str], *, as_root: bool) -> str:
    """The line a person can paste to install `packages`."""
    sudo = "" if as_root else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def install_command(packages: tuple[str, ...], prefix: tuple[str, ...] | None, *, update: bool) -> list[str]:
    """The privileged command, or the refusal that names what an administrator must run."""
    if prefix is None:
        raise PackagesMissing(command=command_for_a_person(packages, as_root=False))
    return [*prefix, "sh", "-c", INSTALL_SCRIPT, "install", "update" if update else "no-update", *packages]


def ensure_packages(*, needs_venv: bool) -> None:
    """Install what is missing, showing apt's own progress; silent and quick when nothing is."""
    machine = inspect_machine()
    if not missing_packages(machine, (), needs_venv=needs_venv):
        return
    packages = missing_packages(machine, offered_packages(), needs_venv=needs_venv)
    if shutil.which("apt-get") is None:
        raise UnknownSystem(packages=" ".join(packages))
    command = install_command(packages, rights(), update=lists_are_empty())
    print(f"安装系统软件包 · Installing system packages: {' '.join(packages)}", flush=True)
    finished = subprocess.run(command, check=False)
    if finished.returncode != 0 or missing_packages(inspect_machine(), (), needs_venv=needs_venv):
        raise PackagesNotInstalled(
            packages=" ".join(packages),
            command=command_for_a_person(packages, as_root=os.geteuid() == 0),
        )
