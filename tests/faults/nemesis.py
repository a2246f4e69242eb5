"""What goes wrong, drawn by the seed: kills, stops, cuts, holes, a full Redis, a database that is gone."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.faults.deployment import House, Process
from tests.faults.relay import Moment, Relay, Trap

TRAP_SECONDS = 4.0
BRIEF, LONG = (0.3, 1.5), (11.0, 13.0)
"""Seconds. Longer than a worker may be silent before its jobs are given to others."""


@dataclass(slots=True)
class Nemesis:
    """Draws one fault after another and does it; `kills` counts processes ended by kill -9 or an immediate stop."""

    house: House
    random: random.Random
    long_stops: bool = False
    at_any_commit: bool = True
    counted: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    caught: set[tuple[str, frozenset[str], Moment]] = field(default_factory=set)
    """Crash points: a process was killed exactly before or after a commit that wrote these tables."""

    async def strike(self) -> None:
        """One fault, from its beginning to its end."""
        faults: list[tuple[float, str, Callable[[], Awaitable[None]]]] = [
            (5, "kill api", lambda: self._kill("api")),
            (5, "kill worker", lambda: self._kill("worker")),
            (9 if self.at_any_commit else 0, "kill at a commit", self._kill_at_commit),
            (2, "stop and go on", self._stop),
            (2, "kill postgres", self._kill_postgres),
            (1, "stop postgres at once", self._stop_postgres),
            (1.5, "kill a backend of postgres", self._kill_backend),
            (1.5, "kill redis", self._kill_redis),
            (1, "redis full", self._fill_redis),
            (1, "redis stopped", self._stop_redis),
            (2, "cut", self._cut),
            (2, "cut some", self._cut_some),
            (2, "hole", self._hole),
            (2, "deaf", self._deaf),
            (1.5, "delay", self._delay),
            (0.5, "everything killed", self._kill_everything),
        ]
        weights = [weight for weight, _, _ in faults]
        (_, name, strike) = self.random.choices(faults, weights)[0]
        self.counted[name] += 1
        await strike()

    def _note(self, what: str, **value: object) -> None:
        self.house.note("nemesis", "note", what, **value)

    def _one(self, kind: str) -> Process:
        names = sorted(name for name in self.house.processes if name.startswith(kind))
        return self.house.processes[self.random.choice(names)]

    async def _running(self, process: Process, seconds: float = 8.0) -> bool:
        """Wait until it is there: a process that is being started cannot be killed."""
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
        process = self._one(kind)
        if await self._running(process):
            self._kill_now(process)

    async def _kill_at_commit(self) -> None:
        """Exactly before or after the next commit of a kind at which nobody was killed yet; of any kind if none comes."""
        kind: str = self.random.choice(("api", "worker"))
        moment: Moment = self.random.choice(("before", "after"))
        fresh = Trap(lambda tables: (kind, tables, moment) in self.caught, moment, self.kill_behind)
        if not await self._caught(kind, fresh):
            await self._caught(kind, Trap(lambda _: False, moment, self.kill_behind))

    async def _caught(self, kind: str, trap: Trap) -> bool:
        relays = [each.relay for name, each in self.house.processes.items() if name.startswith(kind)]
        for relay in relays:
            assert relay is not None
            relay.trap = trap
        with suppress(TimeoutError):
            await asyncio.wait_for(trap.sprung.wait(), TRAP_SECONDS)
        for relay in relays:
            assert relay is not None
            relay.trap = None
        if trap.sprung.is_set():
            self.caught.add((kind, trap.caught, trap.moment))
            self._note("was at a commit of", tables=sorted(trap.caught), moment=trap.moment)
        return trap.sprung.is_set()

    def kill_behind(self, relay: Relay) -> None:
        """Kill -9 of the process whose connections pass through the relay."""
        process = self.house.behind(relay)
        if process is not None:
            self._kill_now(process, at_commit=True)

    async def _stop(self) -> None:
        process = self._one(self.random.choice(("api", "worker")))
        if not await self._running(process):
            return
        longest = LONG if self.long_stops and process.name.startswith("worker") else BRIEF
        seconds = self.random.uniform(*longest)
        self._note("SIGSTOP", process=process.name, seconds=round(seconds, 1))
        process.signal(signal.SIGSTOP, group=True)
        await asyncio.sleep(seconds)
        process.signal(signal.SIGCONT, group=True)
        self._note("SIGCONT", process=process.name)

    async def _again(self, start: Callable[[], None]) -> None:
        await asyncio.sleep(self.random.uniform(0.1, 1.0))
        await asyncio.to_thread(start)

    async def _kill_postgres(self) -> None:
        self._note("kill -9", process="postmaster")
        self.kills += 1
        self.house.ground.kill_postgres()
        await self._again(self.house.ground.start_postgres)
        self._note("started", process="postmaster")

    async def _stop_postgres(self) -> None:
        self._note("immediate shutdown", process="postmaster")
        self.kills += 1
        await asyncio.to_thread(self.house.ground.stop_postgres_at_once)
        await self._again(self.house.ground.start_postgres)
        self._note("started", process="postmaster")

    async def _kill_backend(self) -> None:
        """PostgreSQL then throws everybody out and recovers by itself."""
        backends = self.house.ground.postgres_backends()
        if backends:
            self._note("kill -9", process="a backend of postgres")
            self.kills += 1
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(backends), signal.SIGKILL)

    async def _kill_redis(self) -> None:
        self._note("kill -9", process="redis")
        self.kills += 1
        self.house.ground.signal_redis(signal.SIGKILL)
        await asyncio.sleep(self.random.uniform(0.5, 3.0))
        await asyncio.to_thread(self.house.ground.start_redis)

    async def _fill_redis(self) -> None:
        self._note("redis full")
        self.house.ground.fill_redis(full=True)
        await asyncio.sleep(self.random.uniform(1.0, 3.0))
        self.house.ground.fill_redis(full=False)

    async def _stop_redis(self) -> None:
        self._note("SIGSTOP", process="redis")
        self.house.ground.signal_redis(signal.SIGSTOP)
        await asyncio.sleep(self.random.uniform(1.0, 3.0))
        self.house.ground.signal_redis(signal.SIGCONT)

    def _some_relay(self) -> str:
        return self.random.choice(sorted(self.house.relays))

    async def _cut(self) -> None:
        name = self._some_relay()
        self._note("cut", relay=name)
        self.house.relays[name].cut()

    async def _cut_some(self) -> None:
        """A process keeps some of its connections and loses the others, for example while it reports a job as done."""
        for _ in range(5):
            name = self.random.choice(
                [each for each in sorted(self.house.relays) if each.startswith("postgres")]
            )
            self._note("cut some", relay=name)
            self.house.relays[name].cut(0.25)
            await asyncio.sleep(0.2)

    async def _hole(self) -> None:
        name = self._some_relay()
        seconds = self.random.uniform(0.5, 4.0)
        self._note("hole", relay=name, seconds=round(seconds, 1))
        self.house.relays[name].hole()
        await asyncio.sleep(seconds)
        self.house.relays[name].heal()

    async def _deaf(self) -> None:
        name = self._some_relay()
        seconds = self.random.uniform(0.2, 1.5)
        self._note("deaf", relay=name, seconds=round(seconds, 1))
        self.house.relays[name].deafen()
        await asyncio.sleep(seconds)
        self.house.relays[name].heal()

    async def _delay(self) -> None:
        name = self._some_relay()
        self._note("delay", relay=name)
        self.house.relays[name].delay = self.random.uniform(0.02, 0.2)
        await asyncio.sleep(self.random.uniform(1.0, 3.0))
        self.house.relays[name].heal()

    async def _kill_everything(self) -> None:
        self._note("everything killed")
        for process in self.house.processes.values():
            if process.name != "gateway" and process.signal(signal.SIGKILL):
                self.kills += 1
        self.house.ground.signal_redis(signal.SIGKILL)
        self.house.ground.kill_postgres()
        self.kills += 2
        await asyncio.sleep(0.3)
        await asyncio.to_thread(self.house.ground.start_postgres)
        await asyncio.to_thread(self.house.ground.start_redis)
