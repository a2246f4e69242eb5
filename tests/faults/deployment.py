"""The house under test: API processes behind nginx, workers, a gateway, and a relay on every connection they make."""

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
from tests.faults.services import Ground
from tests.faults.template_cluster import ROOT

READY_SECONDS = 90.0
Note = Callable[..., Any]


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Process:
    """One process that the zygote starts; it is started again whenever it ends, until `wanted` is false."""

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
        """False where it does not run."""
        if self.pid is None:
            return False
        self.killed = self.killed or number == signal.SIGKILL
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            return False
        return True


@dataclass(slots=True)
class House:
    """Everything that runs, and the addresses by which it is reached."""

    ground: Ground
    note: Note
    front: int = field(default_factory=free_port)
    """Where the clients knock: our relay."""
    gateway_port: int = field(default_factory=free_port)
    processes: dict[str, Process] = field(default_factory=dict)
    relays: dict[str, Relay] = field(default_factory=dict)
    own_ends: Counter[str] = field(default_factory=Counter)
    """Ends that nobody caused by a signal, by process."""
    behind_nginx: bool = True
    _ports: dict[str, int] = field(default_factory=dict)
    _zygote: asyncio.subprocess.Process | None = None
    _told: asyncio.Task[None] | None = None
    _later: set[asyncio.Task[None]] = field(default_factory=set)
    restart_delay: Callable[[], float] = lambda: 0.2

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.front}"

    @property
    def clock_file(self) -> Any:
        return self.ground.folder / "clock"

    async def open(self, *, apis: int = 2, workers: int = 2) -> None:
        """Services, relays and processes, up to the first answer."""
        zygote = asyncio.create_task(self._start_zygote())
        await asyncio.to_thread(self._start_services)
        self.clock_file.write_text("0")
        redis = self.ground.location.sockets / "px-redis.sock"
        await self._relay("redis", redis, self.ground.redis_socket)
        names = [f"api-{n}" for n in range(1, apis + 1)] + [f"worker-{n}" for n in range(1, workers + 1)]
        for name in ("gateway", *names):
            await self._declare(name)
        ports = [self._ports[name] for name in names if name.startswith("api")]
        balancer = free_port()
        self.behind_nginx = self.ground.start_nginx(balancer, ports)
        await self._relay("clients", self.front, balancer if self.behind_nginx else ports[0])
        await zygote
        for name in self.processes:
            self._order(name)
        await self.answering()

    def _start_services(self) -> None:
        self.ground.start_postgres()
        self.ground.start_redis()

    async def _relay(self, name: str, listen: Any, upstream: Any, *, reads: bool = False) -> Relay:
        self.relays[name] = Relay(listen, upstream, reads_postgres=reads)
        await self.relays[name].start()
        return self.relays[name]

    async def _declare(self, name: str) -> None:
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
            folder = self.ground.location.sockets / f"px-{name}"
            folder.mkdir()
            relay = await self._relay(
                f"postgres of {name}",
                folder / self.ground.postgres_socket.name,
                self.ground.postgres_socket,
                reads=True,
            )
        arguments = {key: str(value) if key == "clock_file" else value for key, value in arguments.items()}
        self.processes[name] = Process(name, command, arguments, environment, relay)

    def _port(self, name: str) -> int:
        return self._ports.setdefault(name, free_port())

    def _environment(self, name: str) -> dict[str, str]:
        sockets = quote(str(self.ground.location.sockets / f"px-{name}"), safe="/")
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DIANMING_")}
        return kept | {
            "DIANMING_ENV": "test",
            "DIANMING_DATABASE_URL": f"postgresql+psycopg://{APP}@/{DATABASE}?host={sockets}&port=5432",
            "DIANMING_REDIS_URL": f"unix://{self.ground.location.sockets}/px-redis.sock",
            "DIANMING_EVIDENCE_DIR": str(self.ground.evidence),
            "DIANMING_KEYS_FILE": str(self.ground.folder / "keys.json"),
            "DIANMING_PUBLIC_URL": self.url,
            "DIANMING_GATEWAY_URL": f"http://127.0.0.1:{self.gateway_port}",
            "DIANMING_CLOCK_FILE": str(self.clock_file),
            "DIANMING_TEST_ENGINE": "1",
            "DIANMING_VERIFICATION_ATTEMPTS": "30",  # leases run out whenever the clock is moved, too
            "DIANMING_FACE_CONTOURS": "none",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    # --- processes ---

    async def _start_zygote(self) -> None:
        with (self.ground.folder / "zygote.log").open("ab") as log:
            self._zygote = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.faults.fork_server"),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        assert self._zygote.stdout is not None
        await self._zygote.stdout.readline()
        self._told = asyncio.create_task(self._listen(self._zygote.stdout))

    def _order(self, name: str) -> None:
        process = self.processes[name]
        assert self._zygote is not None
        assert self._zygote.stdin is not None
        order = {
            "name": name,
            "command": process.command,
            "arguments": process.arguments,
            "environment": process.environment,
            "log": str(self.ground.folder / f"{name}.log"),
        }
        self._zygote.stdin.write(json.dumps(order).encode() + b"\n")

    async def _listen(self, source: asyncio.StreamReader) -> None:
        while line := await source.readline():
            told = json.loads(line)
            if "started" in told:
                process = self.processes[told["name"]]
                process.pid, process.started_at, process.killed = told["started"], time.monotonic(), False
                continue
            for process in self.processes.values():
                if process.pid == told["ended"]:
                    self._ended(process, told["status"])

    def _ended(self, process: Process, status: int) -> None:
        pid, process.pid = process.pid, None
        if not process.wanted:
            return
        if not process.killed:
            self.own_ends[process.name] += 1
            self.note("house", "note", "ended by itself", process=process.name, status=status)
        assert pid is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # as the service manager does with what a process leaves behind
        task = asyncio.create_task(self._start_again(process))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _start_again(self, process: Process) -> None:
        await asyncio.sleep(self.restart_delay())
        if process.wanted and process.pid is None:
            self._order(process.name)

    def wake(self) -> None:
        """Whoever was stopped goes on."""
        for process in self.processes.values():
            process.signal(signal.SIGCONT, group=True)

    async def answering(self) -> None:
        """Every API process answers, and so does the front door."""
        ports = [port for name, port in self._ports.items() if name.startswith("api")]
        for port in (*ports, self.front):
            await self._until_healthy(port)

    async def _until_healthy(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(5):
                    if b" 200 " in await self._ask(port):
                        return
            await asyncio.sleep(0.1)
        msg = f"nothing healthy on port {port}: see {self.ground.folder}"
        raise TimeoutError(msg)

    @staticmethod
    async def _ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return await reader.readline()
        finally:
            writer.close()

    def behind(self, relay: Relay) -> Process | None:
        """Whose connections pass through the relay."""
        return next((each for each in self.processes.values() if each.relay is relay), None)

    async def close(self) -> None:
        """Everything of ours ends; the ground ends its own services."""
        for process in self.processes.values():
            process.wanted = False
            process.signal(signal.SIGCONT, group=True)
            process.signal(signal.SIGKILL, group=True)
        for task in list(self._later):
            task.cancel()
        for relay in self.relays.values():
            await relay.stop()
        if self._zygote is not None:
            self._zygote.kill()
            await self._zygote.wait()
        if self._told is not None:
            await self._told
