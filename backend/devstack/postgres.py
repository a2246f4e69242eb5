"""Creates, starts, repairs and stops a private PostgreSQL cluster with the system's binaries.

The server listens only on a Unix socket in a directory with mode 0700. The operating system therefore decides who can
connect, and `trust` authentication is safe. Roles still matter: the application connects as a role that owns no objects.
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
from backend.devstack.paths import POSTGRES_PORT, StackLocation, run_as, write_as

START_SECONDS, STOP_SECONDS = 60, 30
SUPERUSER, OWNER, APP, DATABASE = "postgres", "dianming_owner", "dianming_app", "dianming"
EXTENSIONS = ("postgis", "ltree", "pgcrypto", "btree_gist", "pg_trgm")

SETTINGS = """\
# Written by backend/devstack/postgres.py at each start; edits are lost.
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
jit = off                         # queries are short; compiling them costs more than it saves
dynamic_shared_memory_type = sysv # containers have a /dev/shm of 64 MB, or none
timezone = 'UTC'
log_timezone = 'UTC'
log_min_duration_statement = 1000
log_line_prefix = '%m [%p] %q%u@%d '
"""
NOT_DURABLE = """\
fsync = off                       # the cluster starts empty each time
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
"""  # noqa: S608 — the names are constants


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Call `done` every 50 ms until it returns true. Return False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def last_log_line(log: Path) -> str:
    """Return the last non-empty line of a log, for an error message."""
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "—")


def processes_with_cwd(directory: Path) -> Iterator[int]:
    """Yield the ids of processes whose working directory is `directory`. Each PostgreSQL process runs in its data directory."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == directory:
                yield int(entry.name)
        except OSError:  # the process has ended, or belongs to another user
            continue


def find_postmaster(data: Path) -> int | None:
    """Return the process id of the cluster's running postmaster, or None. Ignores a stale pid file, including one whose
    number now belongs to another program.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid in set(processes_with_cwd(data.resolve())) else None


def run_sql(programs: Path, sockets: Path, text: str, database: str = SUPERUSER) -> str:
    """Run statements as the superuser role and return the rows, unaligned, one per line. A failing statement raises
    CalledProcessError; the server's message goes to standard error.
    """
    connection = [
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
    command = [str(programs / "psql"), *connection, *options, "--command", text]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGOPTIONS": "--client-min-messages=warning"}
    return subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout


@dataclass(frozen=True, slots=True)
class Cluster:
    """One PostgreSQL cluster. `programs` is the directory of initdb, pg_ctl and psql."""

    location: StackLocation
    programs: Path
    durable: bool

    @property
    def data(self) -> Path:
        return self.location.data / "postgres"

    @property
    def log(self) -> Path:
        return self.location.data / "postgres.log"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the service user."""
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.location.data)}
        return run_as(self.location.user, [str(self.programs / program), *arguments], environment)

    def sql(self, text: str, database: str = SUPERUSER) -> str:
        """Run statements as the superuser role; see `run_sql`."""
        return run_sql(self.programs, self.location.sockets, text, database)

    def is_running(self) -> bool:
        return find_postmaster(self.data) is not None


def choose_programs(location: StackLocation, programs: Path = POSTGRES_PROGRAMS) -> Path:
    """Return the binaries of the existing cluster's major version, or for a new cluster the newest one with PostGIS."""
    installed = postgis_versions(programs)
    version_file = location.data / "postgres" / "PG_VERSION"
    wanted = int(version_file.read_text()) if version_file.is_file() else max(installed, default=None)
    if wanted is None or wanted not in installed:
        raise PostgresNotFound(wanted=wanted or "≥ 15")
    return programs / str(wanted) / "bin"


def create_cluster(cluster: Cluster) -> None:
    """Run initdb in a temporary directory, then rename it. A cluster directory is therefore always complete."""
    temporary = cluster.location.data / "postgres.making"
    if temporary.exists():
        print("清除上次未建成的数据库 · Removing an incomplete cluster", flush=True)
        shutil.rmtree(temporary)
    options = ["--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "trust"]
    if not cluster.durable:
        options.append("--no-sync")
    result = cluster.run("initdb", "--pgdata", str(temporary), *options)
    if result.returncode != 0:
        log = cluster.location.data / "initdb.log"
        write_as(cluster.location.user, log, result.stdout)
        raise ServiceDidNotStart(service="initdb", log=log, last=last_log_line(log))
    temporary.rename(cluster.data)


def rename_damaged_cluster(cluster: Cluster) -> None:
    """Rename a cluster directory that lacks core files and so cannot start. It is never deleted."""
    core_files = (cluster.data / "PG_VERSION", cluster.data / "global" / "pg_control")
    if not cluster.data.exists() or all(path.is_file() for path in core_files):
        return
    new_path = cluster.location.data / f"postgres.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    cluster.data.rename(new_path)
    print(f"数据库目录已损坏，改名保存为 {new_path}", flush=True)
    print(f"The cluster is damaged; it was renamed to {new_path} and a new one is created", flush=True)


def remove_stale_pid_file(cluster: Cluster) -> None:
    """Wait for orphaned server processes of a killed run to end, then remove its pid and socket files. Otherwise a process
    id that now belongs to another program would prevent the start.
    """
    data = cluster.data.resolve()
    if not wait_until(lambda: not any(processes_with_cwd(data)), STOP_SECONDS):
        raise ServiceDidNotStart(
            service="PostgreSQL", log=cluster.log, last=f"{list(processes_with_cwd(data))} still running"
        )
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    for name in (f".s.PGSQL.{POSTGRES_PORT}", f".s.PGSQL.{POSTGRES_PORT}.lock"):
        (cluster.location.sockets / name).unlink(missing_ok=True)


def write_settings(cluster: Cluster) -> None:
    """Write all configuration files. Rewritten at each start, so a damaged file repairs itself."""
    settings = SETTINGS.format(port=POSTGRES_PORT, sockets=cluster.location.sockets)
    files = {
        "postgresql.conf": settings + ("" if cluster.durable else NOT_DURABLE),
        "pg_hba.conf": ACCESS,
        "postgresql.auto.conf": "",
    }
    for name, text in files.items():
        write_as(cluster.location.user, cluster.data / name, text)


def start_cluster(cluster: Cluster) -> None:
    """Start the cluster, whatever state an earlier run left it in."""
    rename_damaged_cluster(cluster)
    if not cluster.data.exists():
        print("建立数据库 · Creating a PostgreSQL cluster", flush=True)
        create_cluster(cluster)
    remove_stale_pid_file(cluster)
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
        raise ServiceDidNotStart(service="PostgreSQL", log=cluster.log, last=last_log_line(cluster.log))


def prepare_database(cluster: Cluster) -> None:
    """Create the two roles and the database with its extensions, each only if missing."""
    cluster.sql(ROLES)
    if not cluster.sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'").strip():  # noqa: S608 — a constant
        cluster.sql(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    cluster.sql("".join(f"CREATE EXTENSION IF NOT EXISTS {name};" for name in EXTENSIONS), DATABASE)


def stop_cluster(cluster: Cluster) -> None:
    """Stop the cluster with a fast shutdown; after a timeout, with an immediate one, which needs recovery at the next start."""
    for mode in ("fast", "immediate"):
        if not cluster.is_running():
            break
        cluster.run(
            *("pg_ctl", "stop", "--pgdata", str(cluster.data), "--silent", "--wait"),
            *("--mode", mode, "--timeout", str(STOP_SECONDS)),
        )
    # pg_ctl waits for the pid file to disappear, which happens shortly before the processes end.
    directory = cluster.data.resolve()
    if not wait_until(lambda: not any(processes_with_cwd(directory)), STOP_SECONDS):
        for pid in processes_with_cwd(directory):
            os.kill(pid, signal.SIGKILL)
