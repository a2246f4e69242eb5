"""A private PostgreSQL cluster: made, started, repaired and stopped with the system's binaries.

It listens on a Unix socket in a 0700 directory and nowhere else, so the operating system decides who may connect, and
`trust` inside that door adds no weakness. Roles still matter: the application is a role that owns nothing.
Standard library only.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.devstack.errors import PostgresNotFound, ServiceDidNotStart
from backend.devstack.packages import POSTGRES_PROGRAMS, postgis_versions
from backend.devstack.paths import POSTGRES_PORT, Place, run_as, write_as

START_SECONDS, STOP_SECONDS = 60, 30
SUPERUSER, OWNER, APP, DATABASE = "postgres", "dianming_owner", "dianming_app", "dianming"
EXTENSIONS = ("postgis", "ltree", "pgcrypto", "btree_gist", "pg_trgm")

SETTINGS = """\
# Written by backend/devstack/postgres.py at every start; edits are lost.
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0777    # the directory is 0700
max_connections = 200
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 128MB
max_wal_size = 1GB
random_page_cost = 1.1
jit = off                         # plans here are short; compiling them costs more than it saves
dynamic_shared_memory_type = sysv # containers give /dev/shm 64 MB, or none
timezone = 'UTC'
log_timezone = 'UTC'
log_min_duration_statement = 1000
log_line_prefix = '%m [%p] %q%u@%d '
"""
NOT_DURABLE = """\
fsync = off                       # a cluster that begins empty each time
synchronous_commit = off
full_page_writes = off
"""
ACCESS = "local all all trust\n"

ROLES = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN CREATE ROLE {OWNER}; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP}') THEN CREATE ROLE {APP}; END IF;
END $$;
ALTER ROLE {OWNER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE {APP} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
"""  # noqa: S608 — the names are our own constants


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Ask again every 50 ms until it is so; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def last_line(log: Path) -> str:
    """The end of a log, for a message."""
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "—")


def processes_in(directory: Path) -> Iterator[int]:
    """Processes whose working directory is `directory`: every PostgreSQL process sits in its cluster's."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == directory:
                yield int(entry.name)
        except OSError:  # ended meanwhile, or another user's
            continue


def postmaster_of(data: Path) -> int | None:
    """The running postmaster of the cluster at `data`; a pid file that outlived its process, or whose number
    meanwhile belongs to some other program, names none.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid in set(processes_in(data.resolve())) else None


def run_sql(programs: Path, sockets: Path, text: str, database: str = SUPERUSER) -> str:
    """Run statements as the superuser role; rows come back unaligned, one a line. A failing statement raises
    CalledProcessError with the server's words on standard error.
    """
    where = [
        "--host",
        str(sockets),
        "--port",
        str(POSTGRES_PORT),
        "--username",
        SUPERUSER,
        "--dbname",
        database,
    ]
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]
    command = [str(programs / "psql"), *where, *options, "--command", text]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGOPTIONS": "--client-min-messages=warning"}
    return subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster under a place. `programs` is the directory of initdb, pg_ctl and psql."""

    place: Place
    programs: Path
    durable: bool

    @property
    def data(self) -> Path:
        return self.place.data / "postgres"

    @property
    def log(self) -> Path:
        return self.place.data / "postgres.log"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the account."""
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.place.data)}
        return run_as(self.place.account, [str(self.programs / program), *arguments], environment)

    def sql(self, text: str, database: str = SUPERUSER) -> str:
        """Run statements as the superuser role, see `run_sql`."""
        return run_sql(self.programs, self.place.sockets, text, database)

    def is_running(self) -> bool:
        return postmaster_of(self.data) is not None


def choose_programs(place: Place, programs: Path = POSTGRES_PROGRAMS) -> Path:
    """The binaries of the cluster's own major version, or for a new cluster the newest with PostGIS."""
    installed = postgis_versions(programs)
    made_by = place.data / "postgres" / "PG_VERSION"
    wanted = int(made_by.read_text()) if made_by.is_file() else max(installed, default=None)
    if wanted is None or wanted not in installed:
        raise PostgresNotFound(wanted=wanted or "≥ 15")
    return programs / str(wanted) / "bin"


def make_cluster(cluster: Cluster) -> None:
    """Run initdb beside, then rename: a directory of this name was made completely, whatever was killed when."""
    beside = cluster.place.data / "postgres.making"
    if beside.exists():
        print("清除上次未建成的数据库 · Removing a half-made cluster", flush=True)
        shutil.rmtree(beside)
    options = ["--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "trust"]
    if not cluster.durable:
        options.append("--no-sync")
    made = cluster.run("initdb", "--pgdata", str(beside), *options)
    if made.returncode != 0:
        log = cluster.place.data / "initdb.log"
        write_as(cluster.place.account, log, made.stdout)
        raise ServiceDidNotStart(service="initdb", log=log, last=last_line(log))
    beside.rename(cluster.data)


def set_aside_damaged(cluster: Cluster) -> None:
    """A cluster directory that lost its core files cannot start; keep it under another name, never delete it."""
    core = (cluster.data / "PG_VERSION", cluster.data / "global" / "pg_control")
    if not cluster.data.exists() or all(path.is_file() for path in core):
        return
    kept = cluster.place.data / f"postgres.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    cluster.data.rename(kept)
    print(f"数据库目录已损坏，改名保存为 {kept}", flush=True)
    print(f"The cluster is damaged; it is kept as {kept} and a new one is made", flush=True)


def clear_stale_pid(cluster: Cluster) -> None:
    """After a killed run: wait for its orphans to end, then remove what it left, so that a number which now
    belongs to another program does not stop the start. Never while any process still sits in the cluster.
    """
    data = cluster.data.resolve()
    if not wait_until(lambda: not any(processes_in(data)), STOP_SECONDS):
        raise ServiceDidNotStart(
            service="PostgreSQL", log=cluster.log, last=f"{list(processes_in(data))} still run"
        )
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    for name in (f".s.PGSQL.{POSTGRES_PORT}", f".s.PGSQL.{POSTGRES_PORT}.lock"):
        (cluster.place.sockets / name).unlink(missing_ok=True)


def write_settings(cluster: Cluster) -> None:
    """All settings are ours and written anew, so that a spoiled file is healed by the next start."""
    settings = SETTINGS.format(port=POSTGRES_PORT, sockets=cluster.place.sockets)
    files = {
        "postgresql.conf": settings + ("" if cluster.durable else NOT_DURABLE),
        "pg_hba.conf": ACCESS,
        "postgresql.auto.conf": "",
    }
    for name, text in files.items():
        write_as(cluster.place.account, cluster.data / name, text)


def start_cluster(cluster: Cluster) -> None:
    """From whatever an earlier run left to a cluster that answers."""
    set_aside_damaged(cluster)
    if not cluster.data.exists():
        print("建立数据库 · Making a PostgreSQL cluster", flush=True)
        make_cluster(cluster)
    clear_stale_pid(cluster)
    write_settings(cluster)
    options = [
        "--pgdata",
        str(cluster.data),
        "--log",
        str(cluster.log),
        "--wait",
        "--timeout",
        str(START_SECONDS),
    ]
    if cluster.run("pg_ctl", "start", "--silent", *options).returncode != 0:
        raise ServiceDidNotStart(service="PostgreSQL", log=cluster.log, last=last_line(cluster.log))


def prepare_database(cluster: Cluster) -> None:
    """The two roles and the database with its extensions; each step is done only where it is missing."""
    cluster.sql(ROLES)
    if not cluster.sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'").strip():  # noqa: S608 — our constant
        cluster.sql(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    cluster.sql("".join(f"CREATE EXTENSION IF NOT EXISTS {name};" for name in EXTENSIONS), DATABASE)


def stop_cluster(cluster: Cluster) -> None:
    """Fast shutdown; a cluster that does not end in time is stopped at once and recovers at its next start."""
    for mode in ("fast", "immediate"):
        if not cluster.is_running():
            break
        cluster.run(
            *("pg_ctl", "stop", "--pgdata", str(cluster.data), "--silent", "--wait"),
            *("--mode", mode, "--timeout", str(STOP_SECONDS)),
        )
    # It takes its pid file away, by which pg_ctl knows that it has ended, a moment before it has.
    directory = cluster.data.resolve()
    if not wait_until(lambda: not any(processes_in(directory)), STOP_SECONDS):
        for pid in processes_in(directory):
            os.kill(pid, signal.SIGKILL)
