"""The services of one run: a PostgreSQL cluster copied from the template, a Redis and an nginx, all of which can be killed."""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backend.devstack.errors import RedisNotFound, ServiceDidNotStart
from backend.devstack.packages import nginx_program, redis_program
from backend.devstack.paths import (
    POSTGRES_PORT,
    StackLocation,
    make_private_directory,
    prepare_location,
    write_as,
)
from backend.devstack.postgres import (
    APP,
    START_SECONDS,
    Cluster,
    choose_programs,
    create_cluster,
    find_postmaster,
    last_log_line,
    processes_with_cwd,
    remove_stale_pid_file,
    stop_cluster,
    wait_until,
    write_settings,
)
from backend.devstack.redis_server import SETTINGS as REDIS_SETTINGS
from backend.devstack.redis_server import redis_is_running, send_command

POSTGRES_OPTIONS = (
    "-c fsync=off -c shared_buffers=64MB -c max_connections=120 -c log_min_duration_statement=-1"
)
"""fsync is off: data written to the kernel survives a killed process. synchronous_commit stays on."""
_PR_SET_PDEATHSIG = 1
NGINX = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_max_body_size 16m;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-f;
    uwsgi_temp_path {folder}/nginx-u;
    scgi_temp_path {folder}/nginx-s;
    upstream api {{
        {servers}
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://api;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_connect_timeout 1s;
            proxy_read_timeout 6s;
            proxy_buffering off;
        }}
    }}
}}
"""


def _exit_with_parent() -> None:
    """In the child: ask the kernel for SIGTERM when the harness exits, even if it is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start_postgres(cluster: Cluster) -> None:
    """Start the cluster from any state, with the settings of the development stack."""
    if not cluster.data.exists():
        create_cluster(cluster)
    remove_stale_pid_file(cluster)
    write_settings(cluster)
    started = cluster.run(
        *("pg_ctl", "start", "--silent", "--pgdata", str(cluster.data), "--log", str(cluster.log)),
        *("--wait", "--timeout", str(START_SECONDS), "--options", POSTGRES_OPTIONS),
    )
    if started.returncode != 0:
        raise ServiceDidNotStart(service="PostgreSQL", log=cluster.log, last=last_log_line(cluster.log))


@dataclass(slots=True)
class RunServices:
    """Directory and services of one run."""

    location: StackLocation
    cluster: Cluster
    evidence: Path
    _redis: subprocess.Popen[bytes] | None = None
    _nginx: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        return self.location.data

    @property
    def superuser_dsn(self) -> str:
        return f"host={self.location.sockets} port={POSTGRES_PORT} dbname=dianming user=postgres"

    @property
    def postgres_socket(self) -> Path:
        return self.location.sockets / f".s.PGSQL.{POSTGRES_PORT}"

    @property
    def redis_socket(self) -> Path:
        return self.location.sockets / "redis.sock"

    # --- PostgreSQL ---

    def start_postgres(self) -> None:
        start_postgres(self.cluster)

    def kill_postgres(self) -> None:
        """kill -9 the postmaster. Its children then exit."""
        pid = find_postmaster(self.cluster.data)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def stop_postgres_immediately(self) -> None:
        """Immediate shutdown: no checkpoint, so the next start needs recovery."""
        self.cluster.run(
            "pg_ctl", "stop", "--pgdata", str(self.cluster.data), "--silent", "--mode", "immediate"
        )

    def postgres_processes(self) -> list[int]:
        return list(processes_with_cwd(self.cluster.data.resolve()))

    def postgres_backends(self) -> list[int]:
        """Return the process ids of the backends that serve the application."""
        query = f"SELECT pid FROM pg_stat_activity WHERE usename = '{APP}'"
        try:
            return [int(line) for line in self.cluster.sql(query).split()]
        except subprocess.CalledProcessError:
            return []

    # --- Redis ---

    def start_redis(self) -> None:
        program = redis_program()
        if program is None:
            raise RedisNotFound
        settings = self.folder / "redis.conf"
        text = REDIS_SETTINGS.format(
            socket=self.redis_socket, data=self.folder, log=self.folder / "redis.log"
        ).replace("daemonize yes", "daemonize no")
        write_as(self.location.user, settings, text)
        self._redis = self._spawn([program, str(settings)])
        if not wait_until(lambda: redis_is_running(self.location), 15):
            raise ServiceDidNotStart(
                service="Redis", log=self.folder / "redis.log", last=last_log_line(self.folder / "redis.log")
            )

    def signal_redis(self, number: signal.Signals) -> None:
        if self._redis is not None:
            self._redis.send_signal(number)
            if number == signal.SIGKILL:
                self._redis.wait()

    def fill_redis(self, *, full: bool) -> None:
        """Make Redis reject writes for lack of memory, or accept them again."""
        send_command(self.redis_socket, b"CONFIG SET maxmemory " + (b"1" if full else b"268435456"))

    # --- nginx ---

    def start_nginx(self, port: int, upstream: list[int]) -> bool:
        """Start nginx. Return False if it is not installed."""
        program = nginx_program()
        if program is None:
            return False
        servers = "\n        ".join(
            f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in upstream
        )
        conf = self.folder / "nginx.conf"
        write_as(self.location.user, conf, NGINX.format(folder=self.folder, servers=servers, port=port))
        self._nginx = self._spawn(
            [program, "-p", str(self.folder), "-e", f"{self.folder}/nginx.log", "-c", str(conf)]
        )
        return True

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        user = self.location.user
        demoted = os.geteuid() != user.uid
        with (self.folder / "services.log").open("ab") as log:
            return subprocess.Popen(
                command,
                user=user.uid if demoted else None,
                group=user.gid if demoted else None,
                extra_groups=[] if demoted else None,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_exit_with_parent,  # noqa: PLW1509 - two system calls, no lock
            )

    def restore(self) -> None:
        """Continue, empty or restart all services."""
        self.signal_redis(signal.SIGCONT)
        if not redis_is_running(self.location):
            self.start_redis()
        self.fill_redis(full=False)
        if find_postmaster(self.cluster.data) is None:
            self.start_postgres()

    def stop(self) -> None:
        for service in (self._nginx, self._redis):
            if service is not None:
                with suppress(ProcessLookupError):
                    os.killpg(service.pid, signal.SIGCONT)
                    os.killpg(service.pid, signal.SIGKILL)
                service.wait()
        for pid in self.postgres_processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        stop_cluster(self.cluster)


def _delete_leftover_runs(folder: Path) -> None:
    """Delete the directories of killed runs, whose names contain the process id."""
    for directory in folder.glob("run-*"):
        if Path("/proc", directory.name.split("-")[1]).exists():
            continue
        for pid in processes_with_cwd((directory / "postgres").resolve()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def prepare_run(template: Path, root: Path) -> Iterator[RunServices]:
    """Create the directory of a run with a copy of the template's cluster and keys. Starts nothing. Deleted at the end."""
    base = prepare_location(root, "faults")
    _delete_leftover_runs(base.data)
    data = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=base.data))
    sockets = Path(tempfile.mkdtemp(prefix="dm-faults-"))
    make_private_directory(data, base.user)
    make_private_directory(sockets, base.user)
    location = StackLocation(data=data, sockets=sockets, user=base.user)
    copy = ["cp", "-a", "--reflink=auto", str(template / "postgres"), str(data / "postgres")]
    subprocess.run(copy, check=True)
    for name in ("keys.json", "world.json"):
        shutil.copy(template / name, data / name)
    evidence = data / "evidence"
    evidence.mkdir(mode=0o700)
    services = RunServices(location, Cluster(location, choose_programs(location), durable=True), evidence)
    try:
        yield services
    finally:
        services.stop()
        shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)
