"""Injects random faults: kills, stops, network faults, a full Redis, database crashes."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.faults.deployment import Deployment, Process
from tests.faults.relay import Moment, Relay, Trap

TRAP_SECONDS = 4.0
BRIEF, LONG = (0.3, 1.5), (11.0, 13.0)
"""Seconds. A long stop exceeds the time after which a silent worker's jobs are reassigned."""


@dataclass(slots=True)
class Nemesis:
    """Chooses and injects one fault after another. `kills` counts processes ended by kill -9 or an immediate stop."""

    deployment: Deployment
    random: random.Random
    long_stops: bool = False
    at_any_commit: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    killed_at: set[tuple[str, frozenset[str], Moment]] = field(default_factory=set)
    """Commits (process, tables, moment) exactly before or after which a process was killed."""

    async def inject_fault(self) -> None:
        """Choose one fault and inject it, from beginning to end."""
        faults: list[tuple[float, str, Callable[[], Awaitable[None]]]] = [
            (5, "kill api", lambda: self._kill("api")),
            (5, "kill worker", lambda: self._kill("worker")),
            (9 if self.at_any_commit else 0, "kill at a commit", self._kill_at_commit),
            (2, "stop and continue", self._stop),
            (2, "kill postgres", self._kill_postgres),
            (1, "stop postgres immediately", self._stop_postgres),
            (1.5, "kill a backend of postgres", self._kill_backend),
            (1.5, "kill redis", self._kill_redis),
            (1, "redis full", self._fill_redis),
            (1, "redis stopped", self._stop_redis),
            (2, "abort connections", self._abort_connections),
            (2, "abort some connections", self._abort_some_connections),
            (2, "black hole", self._black_hole),
            (2, "drop responses", self._drop_responses),
            (1.5, "delay", self._delay),
            (0.5, "kill everything", self._kill_everything),
        ]
        weights = [weight for weight, _, _ in faults]
        (_, name, inject_fault) = self.random.choices(faults, weights)[0]
        self.counts[name] += 1
        await inject_fault()

    def _note(self, what: str, **value: object) -> None:
        self.deployment.note("nemesis", "note", what, **value)

    def _choose_process(self, kind: str) -> Process:
        names = sorted(name for name in self.deployment.processes if name.startswith(kind))
        return self.deployment.processes[self.random.choice(names)]

    async def _wait_until_running(self, process: Process, seconds: float = 8.0) -> bool:
        """Wait until the process runs. It cannot be killed while it is being started."""
        for _ in range(round(seconds / 0.05)):
            if process.pid is not None:
                return True
            await asyncio.sleep(0.05)
        return False

    def _kill_now(self, process: Process, **value: object) -> None:
        if process.signal(signal.SIGKILL):
            self.kills += 1
            self._note("kill -9", process=process.name, **value)

    async def _kill(self, kind: str) -> None:
        process = self._choose_process(kind)
        if await self._wait_until_running(process):
            self._kill_now(process)

    async def _kill_at_commit(self) -> None:
        """Kill a process exactly before or after its next commit, preferably of a kind not hit before."""
        kind: str = self.random.choice(("api", "worker"))
        moment: Moment = self.random.choice(("before", "after"))
        fresh = Trap(lambda tables: (kind, tables, moment) in self.killed_at, moment, self.kill_behind)
        if not await self._kill_at_next_commit(kind, fresh):
            await self._kill_at_next_commit(kind, Trap(lambda _: False, moment, self.kill_behind))

    async def _kill_at_next_commit(self, kind: str, trap: Trap) -> bool:
        relays = [each.relay for name, each in self.deployment.processes.items() if name.startswith(kind)]
        for relay in relays:
            assert relay is not None
            relay.trap = trap
        with suppress(TimeoutError):
            await asyncio.wait_for(trap.triggered.wait(), TRAP_SECONDS)
        for relay in relays:
            assert relay is not None
            relay.trap = None
        if trap.triggered.is_set():
            self.killed_at.add((kind, trap.tables, trap.moment))
            self._note("killed at a commit of", tables=sorted(trap.tables), moment=trap.moment)
        return trap.triggered.is_set()

    def kill_behind(self, relay: Relay) -> None:
        """kill -9 the process whose connections use the relay."""
        process = self.deployment.process_behind(relay)
        if process is not None:
            self._kill_now(process, at_commit=True)

    async def _stop(self) -> None:
        process = self._choose_process(self.random.choice(("api", "worker")))
        if not await self._wait_until_running(process):
            return
        longest = LONG if self.long_stops and process.name.startswith("worker") else BRIEF
        seconds = self.random.uniform(*longest)
        self._note("SIGSTOP", process=process.name, seconds=round(seconds, 1))
        process.signal(signal.SIGSTOP, group=True)
        await asyncio.sleep(seconds)
        process.signal(signal.SIGCONT, group=True)
        self._note("SIGCONT", process=process.name)

    async def _restart_after_pause(self, start: Callable[[], None]) -> None:
        await asyncio.sleep(self.random.uniform(0.1, 1.0))
        await asyncio.to_thread(start)

    async def _kill_postgres(self) -> None:
        self._note("kill -9", process="postmaster")
        self.kills += 1
        self.deployment.services.kill_postgres()
        await self._restart_after_pause(self.deployment.services.start_postgres)
        self._note("started", process="postmaster")

    async def _stop_postgres(self) -> None:
        self._note("immediate shutdown", process="postmaster")
        self.kills += 1
        await asyncio.to_thread(self.deployment.services.stop_postgres_immediately)
        await self._restart_after_pause(self.deployment.services.start_postgres)
        self._note("started", process="postmaster")

    async def _kill_backend(self) -> None:
        """Kill one backend. PostgreSQL then closes all connections and recovers."""
        backends = self.deployment.services.postgres_backends()
        if backends:
            self._note("kill -9", process="a backend of postgres")
            self.kills += 1
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(backends), signal.SIGKILL)

    async def _kill_redis(self) -> None:
        self._note("kill -9", process="redis")
        self.kills += 1
        self.deployment.services.signal_redis(signal.SIGKILL)
        await asyncio.sleep(self.random.uniform(0.5, 3.0))
        await asyncio.to_thread(self.deployment.services.start_redis)

    async def _fill_redis(self) -> None:
        self._note("redis full")
        self.deployment.services.fill_redis(full=True)
        await asyncio.sleep(self.random.uniform(1.0, 3.0))
        self.deployment.services.fill_redis(full=False)

    async def _stop_redis(self) -> None:
        self._note("SIGSTOP", process="redis")
        self.deployment.services.signal_redis(signal.SIGSTOP)
        await asyncio.sleep(self.random.uniform(1.0, 3.0))
        self.deployment.services.signal_redis(signal.SIGCONT)

    def _choose_relay(self) -> str:
        return self.random.choice(sorted(self.deployment.relays))

    async def _abort_connections(self) -> None:
        name = self._choose_relay()
        self._note("abort connections", relay=name)
        self.deployment.relays[name].abort_connections()

    async def _abort_some_connections(self) -> None:
        """Abort some connections of a process and keep others, for example while it reports a job as finished."""
        for _ in range(5):
            name = self.random.choice(
                [each for each in sorted(self.deployment.relays) if each.startswith("postgres")]
            )
            self._note("abort some connections", relay=name)
            self.deployment.relays[name].abort_connections(0.25)
            await asyncio.sleep(0.2)

    async def _black_hole(self) -> None:
        name = self._choose_relay()
        seconds = self.random.uniform(0.5, 4.0)
        self._note("black hole", relay=name, seconds=round(seconds, 1))
        self.deployment.relays[name].black_hole()
        await asyncio.sleep(seconds)
        self.deployment.relays[name].restore()

    async def _drop_responses(self) -> None:
        name = self._choose_relay()
        seconds = self.random.uniform(0.2, 1.5)
        self._note("drop responses", relay=name, seconds=round(seconds, 1))
        self.deployment.relays[name].drop_responses()
        await asyncio.sleep(seconds)
        self.deployment.relays[name].restore()

    async def _delay(self) -> None:
        name = self._choose_relay()
        self._note("delay", relay=name)
        self.deployment.relays[name].delay = self.random.uniform(0.02, 0.2)
        await asyncio.sleep(self.random.uniform(1.0, 3.0))
        self.deployment.relays[name].restore()

    async def _kill_everything(self) -> None:
        self._note("everything killed")
        for process in self.deployment.processes.values():
            if process.name != "gateway" and process.signal(signal.SIGKILL):
                self.kills += 1
        self.deployment.services.signal_redis(signal.SIGKILL)
        self.deployment.services.kill_postgres()
        self.kills += 2
        await asyncio.sleep(0.3)
        await asyncio.to_thread(self.deployment.services.start_postgres)
        await asyncio.to_thread(self.deployment.services.start_redis)
