"""The deployment under test: API processes behind nginx, workers, an SMS gateway, and a relay on each connection."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from backend.devstack.postgres import APP, DATABASE
from tests.faults.relay import Relay
from tests.faults.services import RunServices
from tests.faults.template_cluster import ROOT

READY_SECONDS = 90.0
Note = Callable[..., Any]


def free_port() -> int:
    """Return a currently free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Process:
    """One process started by the fork server. It is restarted whenever it exits, unless `wanted` is false."""

    name: str
    command: str
    arguments: dict[str, Any]
    environment: dict[str, str]
    relay: Relay | None
    pid: int | None = None
    wanted: bool = True
    started_at: float = 0.0
    killed: bool = False

    def signal(self, number: signal.Signals, *, group: bool = False) -> bool:
        """Send a signal. Return False if the process does not run."""
        if self.pid is None:
            return False
        self.killed = self.killed or number == signal.SIGKILL
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            return False
        return True


@dataclass(slots=True)
class Deployment:
    """All processes, services and relays, and their addresses."""

    services: RunServices
    note: Note
    client_port: int = field(default_factory=free_port)
    """Port of the relay that the clients connect to."""
    gateway_port: int = field(default_factory=free_port)
    processes: dict[str, Process] = field(default_factory=dict)
    relays: dict[str, Relay] = field(default_factory=dict)
    unexpected_exits: Counter[str] = field(default_factory=Counter)
    """Exits that the harness did not cause, by process."""
    uses_nginx: bool = True
    _ports: dict[str, int] = field(default_factory=dict)
    _fork_server: asyncio.subprocess.Process | None = None
    _reader_task: asyncio.Task[None] | None = None
    _restart_tasks: set[asyncio.Task[None]] = field(default_factory=set)
    restart_delay: Callable[[], float] = lambda: 0.2

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.client_port}"

    @property
    def clock_file(self) -> Any:
        return self.services.folder / "clock"

    async def open(self, *, apis: int = 2, workers: int = 2) -> None:
        """Start services, relays and processes, and wait until the API is healthy."""
        fork_server_start = asyncio.create_task(self._start_fork_server())
        await asyncio.to_thread(self._start_services)
        self.clock_file.write_text("0")
        redis = self.services.location.sockets / "px-redis.sock"
        await self._relay("redis", redis, self.services.redis_socket)
        names = [f"api-{n}" for n in range(1, apis + 1)] + [f"worker-{n}" for n in range(1, workers + 1)]
        for name in ("gateway", *names):
            await self._add_process(name)
        ports = [self._ports[name] for name in names if name.startswith("api")]
        balancer = free_port()
        self.uses_nginx = self.services.start_nginx(balancer, ports)
        await self._relay("clients", self.client_port, balancer if self.uses_nginx else ports[0])
        await fork_server_start
        for name in self.processes:
            self._request_start(name)
        await self.wait_until_healthy()

    def _start_services(self) -> None:
        self.services.start_postgres()
        self.services.start_redis()

    async def _relay(self, name: str, listen: Any, upstream: Any, *, reads: bool = False) -> Relay:
        self.relays[name] = Relay(listen, upstream, reads_postgres=reads)
        await self.relays[name].start()
        return self.relays[name]

    async def _add_process(self, name: str) -> None:
        kind = name.partition("-")[0]
        relay: Relay | None = None
        if kind == "gateway":
            arguments: dict[str, Any] = {
                "host": "127.0.0.1",
                "port": self.gateway_port,
                "access_key": "demo",
                "secret": "demo-secret",
                "reports_to": f"{self.url}/staff",
                "mismatch": "",
                "undeliverable": None,
                "clock_file": self.clock_file,
            }
            command = "gateway"
        elif kind == "api":
            arguments = {"host": "127.0.0.1", "port": self._port(name), "processes": 1}
            command = "serve"
        else:
            command, arguments = "worker", {"concurrency": 3}
        environment = self._environment(name)
        if kind in {"api", "worker"}:
            folder = self.services.location.sockets / f"px-{name}"
            folder.mkdir()
            relay = await self._relay(
                f"postgres of {name}",
                folder / self.services.postgres_socket.name,
                self.services.postgres_socket,
                reads=True,
            )
        arguments = {key: str(value) if key == "clock_file" else value for key, value in arguments.items()}
        self.processes[name] = Process(name, command, arguments, environment, relay)

    def _port(self, name: str) -> int:
        return self._ports.setdefault(name, free_port())

    def _environment(self, name: str) -> dict[str, str]:
        sockets = quote(str(self.services.location.sockets / f"px-{name}"), safe="/")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DIANMING_")}
        return environment | {
            "DIANMING_ENV": "test",
            "DIANMING_DATABASE_URL": f"postgresql+psycopg://{APP}@/{DATABASE}?host={sockets}&port=5432",
            "DIANMING_REDIS_URL": f"unix://{self.services.location.sockets}/px-redis.sock",
            "DIANMING_EVIDENCE_DIR": str(self.services.evidence),
            "DIANMING_KEYS_FILE": str(self.services.folder / "keys.json"),
            "DIANMING_PUBLIC_URL": self.url,
            "DIANMING_GATEWAY_URL": f"http://127.0.0.1:{self.gateway_port}",
            "DIANMING_CLOCK_FILE": str(self.clock_file),
            "DIANMING_TEST_ENGINE": "1",
            "DIANMING_VERIFICATION_MAX_ATTEMPTS": "30",  # leases also expire whenever the clock is moved
            "DIANMING_FACE_LANDMARK_MODEL": "none",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    # --- processes ---

    async def _start_fork_server(self) -> None:
        with (self.services.folder / "fork_server.log").open("ab") as log:
            self._fork_server = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.faults.fork_server"),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        assert self._fork_server.stdout is not None
        await self._fork_server.stdout.readline()
        self._reader_task = asyncio.create_task(self._read_fork_server(self._fork_server.stdout))

    def _request_start(self, name: str) -> None:
        process = self.processes[name]
        assert self._fork_server is not None
        assert self._fork_server.stdin is not None
        request = {
            "name": name,
            "command": process.command,
            "arguments": process.arguments,
            "environment": process.environment,
            "log": str(self.services.folder / f"{name}.log"),
        }
        self._fork_server.stdin.write(json.dumps(request).encode() + b"\n")

    async def _read_fork_server(self, source: asyncio.StreamReader) -> None:
        while line := await source.readline():
            message = json.loads(line)
            if "started" in message:
                process = self.processes[message["name"]]
                process.pid, process.started_at, process.killed = message["started"], time.monotonic(), False
                continue
            for process in self.processes.values():
                if process.pid == message["ended"]:
                    self._handle_exit(process, message["status"])

    def _handle_exit(self, process: Process, status: int) -> None:
        pid, process.pid = process.pid, None
        if not process.wanted:
            return
        if not process.killed:
            self.unexpected_exits[process.name] += 1
            self.note("deployment", "note", "exited unexpectedly", process=process.name, status=status)
        assert pid is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # like a service manager, kill the remaining children
        task = asyncio.create_task(self._restart_later(process))
        self._restart_tasks.add(task)
        task.add_done_callback(self._restart_tasks.discard)

    async def _restart_later(self, process: Process) -> None:
        await asyncio.sleep(self.restart_delay())
        if process.wanted and process.pid is None:
            self._request_start(process.name)

    def resume_stopped(self) -> None:
        """Continue all stopped processes."""
        for process in self.processes.values():
            process.signal(signal.SIGCONT, group=True)

    async def wait_until_healthy(self) -> None:
        """Wait until each API process and the client port are healthy."""
        ports = [port for name, port in self._ports.items() if name.startswith("api")]
        for port in (*ports, self.client_port):
            await self._wait_for_port(port)

    async def _wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(5):
                    if b" 200 " in await self._ask(port):
                        return
            await asyncio.sleep(0.1)
        msg = f"nothing healthy on port {port}: see {self.services.folder}"
        raise TimeoutError(msg)

    @staticmethod
    async def _ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return await reader.readline()
        finally:
            writer.close()

    def process_behind(self, relay: Relay) -> Process | None:
        """Return the process whose connections use the relay."""
        return next((each for each in self.processes.values() if each.relay is relay), None)

    async def close(self) -> None:
        """Stop processes and relays. `RunServices` stops the services."""
        for process in self.processes.values():
            process.wanted = False
            process.signal(signal.SIGCONT, group=True)
            process.signal(signal.SIGKILL, group=True)
        for task in list(self._restart_tasks):
            task.cancel()
        for relay in self.relays.values():
            await relay.stop()
        if self._fork_server is not None:
            self._fork_server.kill()
            await self._fork_server.wait()
        if self._reader_task is not None:
            await self._reader_task
