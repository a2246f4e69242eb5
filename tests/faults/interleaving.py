"""Two acts at once, in an order that a seed draws statement by statement: no sleep, no luck.

Each actor has connections of its own. Before every statement and every commit it waits at a turnstile; the scheduler lets
one of those who wait go on, and looks into the database to see whether it got through or is kept waiting by a lock.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.util import await_only

from backend.core.app_context import AppContext
from backend.core.database import Database
from tests.support.roll_call.scenario import Stage

LOOK_SECONDS = 0.003
_BLOCKED = text("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = ANY(:backends)")


@dataclass(slots=True)
class Actor:
    """What it does to the stage that it entered goes through `turnstile`."""

    name: str
    database: Database
    _stage: Stage | None = None
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    pass_on: asyncio.Event = field(default_factory=asyncio.Event)
    gated: bool = False
    backends: list[int] = field(default_factory=list)
    """Process ids of the database's ends of its connections."""
    passed: list[str] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        assert self._stage is not None
        return self._stage

    def enter(self, stage: Stage) -> None:
        """The same world, by connections and a clock of its own."""
        self._stage = replace(
            stage, app_context=replace(stage.app_context, database=self.database), clock=replace(stage.clock)
        )

    async def turnstile(self, what: str) -> None:
        if self.gated:
            self.waiting.set()
            await self.pass_on.wait()
            self.pass_on.clear()
            self.passed.append(what)


def actor(name: str, app_context: AppContext) -> Actor:
    """One with an engine whose statements can be held."""
    database = Database.connect(app_context.settings.database_url, pool_size=2)
    found = Actor(name, database)

    def before(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        await_only(found.turnstile(statement))

    def connected(connection: Any, _record: Any) -> None:
        found.backends.append(connection.driver_connection.info.backend_pid)

    event.listen(database.engine.sync_engine, "connect", connected)
    event.listen(database.engine.sync_engine, "before_cursor_execute", before)
    event.listen(database.engine.sync_engine, "commit", lambda _: await_only(found.turnstile("COMMIT")))
    return found


async def interleave(
    stage: Stage, acts: dict[str, tuple[Actor, Callable[[Stage], Awaitable[Any]]]], seed: int
) -> dict[str, Any]:
    """What each act returned or raised, when their statements ran in the order of the seed."""
    draw = random.Random(seed)
    for who, _ in acts.values():
        who.gated, who.passed = True, []
        who.waiting.clear()
        who.pass_on.clear()
    tasks = {name: asyncio.ensure_future(act(who.stage)) for name, (who, act) in acts.items()}
    try:
        while not all(task.done() for task in tasks.values()):
            ready = sorted(n for n, (who, _) in acts.items() if who.waiting.is_set() and not tasks[n].done())
            if not ready:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            chosen = draw.choice(ready)
            who = acts[chosen][0]
            who.waiting.clear()
            who.pass_on.set()
            await _through(stage, who, tasks[chosen])
    finally:
        for who, _ in acts.values():
            who.gated = False
            who.pass_on.set()
    return dict(zip(tasks, await asyncio.gather(*tasks.values(), return_exceptions=True), strict=True))


async def _through(stage: Stage, who: Actor, task: "asyncio.Future[Any]") -> None:
    """Until it stands at its next statement, has ended, or waits for a lock that another holds."""
    looks = 0
    while not (who.waiting.is_set() or task.done()):
        await asyncio.sleep(0 if looks < 20 else LOOK_SECONDS)
        looks += 1
        if looks % 25 == 0 and await _is_blocked(stage, who):
            return


async def _is_blocked(stage: Stage, who: Actor) -> bool:
    async with stage.arrange() as session:
        return bool((await session.execute(_BLOCKED, {"backends": who.backends})).first())
