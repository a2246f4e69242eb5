"""Finds missing Debian packages and installs them.

Standard library only, because it runs before the virtual environment exists.
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
"""The name in Debian 12, used when apt has no package lists to search."""
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
"""Run as root. Installs packages without starting, creating or enabling system-wide services, because the stack runs its
own. The files that prevent this (policy-rc.d, a createcluster setting) are removed at the end. Services that were
installed before stay as they were."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is already installed on this machine."""

    postgis_versions: tuple[int, ...]
    """Major versions of PostgreSQL that have PostGIS installed, ascending."""
    postgres_versions: tuple[int, ...]
    redis: str | None
    nginx: str | None
    """Load balancer of the fault harness, in front of two API processes as in production."""
    has_ensurepip: bool
    """Whether `python3 -m venv` works. Debian ships ensurepip in a separate package."""


def postgres_versions(programs: Path = POSTGRES_PROGRAMS) -> tuple[int, ...]:
    """Return the major versions whose server is installed, ascending."""
    names = (d.parent.parent.name for d in programs.glob("*/bin/initdb"))
    return tuple(sorted(int(name) for name in names if name.isdigit()))


def postgis_versions(programs: Path = POSTGRES_PROGRAMS, shared: Path = POSTGRES_SHARED) -> tuple[int, ...]:
    """Return the supported major versions that have both the server and PostGIS installed."""
    return tuple(
        version
        for version in postgres_versions(programs)
        if version >= OLDEST_POSTGRES and (shared / str(version) / "extension" / "postgis.control").is_file()
    )


def redis_program() -> str | None:
    """Return the path of redis-server, or of valkey-server, which replaces it in newer Debian."""
    return next((path for name in REDIS_PROGRAMS if (path := shutil.which(name))), None)


def nginx_program() -> str | None:
    """Return the path of nginx. On Debian, the PATH of an unprivileged user does not include its directory."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def inspect_machine() -> Machine:
    """Return what is installed. Read-only; takes milliseconds."""
    return Machine(
        postgis_versions=postgis_versions(),
        postgres_versions=postgres_versions(),
        redis=redis_program(),
        nginx=nginx_program(),
        has_ensurepip=importlib.util.find_spec("ensurepip") is not None,
    )


def postgis_package(available: Iterable[str], installed_servers: Iterable[int]) -> str:
    """Choose the PostGIS package: for an installed server if there is one, else the newest available version."""
    versions = {int(m[1]) for name in available if (m := _POSTGIS_PACKAGE.fullmatch(name))}
    usable = {v for v in versions if v >= OLDEST_POSTGRES}
    if not usable:
        return FALLBACK_POSTGIS
    return f"postgresql-{max(usable & set(installed_servers) or usable)}-postgis-3"


def missing_packages(machine: Machine, available: Iterable[str], *, needs_venv: bool) -> tuple[str, ...]:
    """Return the names of the Debian packages to install."""
    missing = []
    if not machine.postgis_versions:
        missing.append(postgis_package(available, machine.postgres_versions))
    if machine.redis is None:
        missing.append("redis-server")
    if machine.nginx is None:
        missing.append("nginx-light")
    if needs_venv and not machine.has_ensurepip:
        missing.append("python3-venv")
    return tuple(missing)


def available_packages() -> frozenset[str]:
    """Return the PostgreSQL packages in apt's lists."""
    if shutil.which("apt-cache") is None:
        return frozenset()
    listed = subprocess.run(
        ["apt-cache", "pkgnames", "postgresql-"], capture_output=True, text=True, check=False
    )
    return frozenset(listed.stdout.split())


def apt_lists_are_empty(lists: Path = Path("/var/lib/apt/lists")) -> bool:
    """Return whether `apt-get update` was never run, as on a fresh image."""
    return not any(lists.glob("*_Packages*"))


def privilege_prefix() -> tuple[str, ...] | None:
    """Return the command prefix for root privileges: () as root, `sudo -n` if it works, else None."""
    if os.geteuid() == 0:
        return ()
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ("sudo", "-n")
    return None


def manual_install_command(packages: Iterable[str], *, as_root: bool) -> str:
    """Return a shell command line for an administrator to install `packages`."""
    sudo = "" if as_root else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def install_command(packages: tuple[str, ...], prefix: tuple[str, ...] | None, *, update: bool) -> list[str]:
    """Return the privileged install command. Without privileges, raise an error that names the manual command."""
    if prefix is None:
        raise PackagesMissing(command=manual_install_command(packages, as_root=False))
    return [*prefix, "sh", "-c", INSTALL_SCRIPT, "install", "update" if update else "no-update", *packages]


def ensure_packages(*, needs_venv: bool) -> None:
    """Install missing packages and show apt's output. Prints nothing if none are missing."""
    machine = inspect_machine()
    if not missing_packages(machine, (), needs_venv=needs_venv):
        return
    packages = missing_packages(machine, available_packages(), needs_venv=needs_venv)
    installed = install_packages(packages)
    if not installed or missing_packages(inspect_machine(), (), needs_venv=needs_venv):
        raise not_installed(packages)


def install_packages(packages: tuple[str, ...]) -> bool:
    """Install packages and show apt's output. Return whether apt succeeded. Raises `UnknownSystem` or `PackagesMissing`."""
    if shutil.which("apt-get") is None:
        raise UnknownSystem(packages=" ".join(packages))
    command = install_command(packages, privilege_prefix(), update=apt_lists_are_empty())
    print(f"安装系统软件包 · Installing system packages: {' '.join(packages)}", flush=True)
    return subprocess.run(command, check=False).returncode == 0


def not_installed(packages: tuple[str, ...]) -> PackagesNotInstalled:
    """The error after apt failed, with the command to run by hand."""
    command = manual_install_command(packages, as_root=os.geteuid() == 0)
    return PackagesNotInstalled(packages=" ".join(packages), command=command)
