"""Runs two actions concurrently, in an order of statements determined by a seed. Uses no sleeps and no luck.

Each client has its own connections. Before each statement and each commit it waits for its turn. The scheduler lets one of
the waiting clients continue, then checks in the database whether it finished the statement or waits for a lock.
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
from tests.support.roll_call.scenario import RollCallScenario

POLL_SECONDS = 0.003
_WAITING_FOR_LOCK = text("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = ANY(:backends)")


@dataclass(slots=True)
class ConcurrentClient:
    """Runs actions with database connections of its own. Each statement first calls `wait_for_turn`."""

    name: str
    database: Database
    _stage: RollCallScenario | None = None
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    may_continue: asyncio.Event = field(default_factory=asyncio.Event)
    is_controlled: bool = False
    backends: list[int] = field(default_factory=list)
    """Process ids of its PostgreSQL backends."""
    executed: list[str] = field(default_factory=list)

    @property
    def scenario(self) -> RollCallScenario:
        assert self._stage is not None
        return self._stage

    def use_scenario(self, scenario: RollCallScenario) -> None:
        """Use a copy of the scenario with this client's own connections and clock."""
        self._stage = replace(
            scenario,
            app_context=replace(scenario.app_context, database=self.database),
            clock=replace(scenario.clock),
        )

    async def wait_for_turn(self, what: str) -> None:
        if self.is_controlled:
            self.waiting.set()
            await self.may_continue.wait()
            self.may_continue.clear()
            self.executed.append(what)


def new_client(name: str, app_context: AppContext) -> ConcurrentClient:
    """Create a client whose statements and commits wait for their turn."""
    database = Database.connect(app_context.settings.database_url, pool_size=2)
    client = ConcurrentClient(name, database)

    def before(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        await_only(client.wait_for_turn(statement))

    def connected(connection: Any, _record: Any) -> None:
        client.backends.append(connection.driver_connection.info.backend_pid)

    event.listen(database.engine.sync_engine, "connect", connected)
    event.listen(database.engine.sync_engine, "before_cursor_execute", before)
    event.listen(database.engine.sync_engine, "commit", lambda _: await_only(client.wait_for_turn("COMMIT")))
    return client


async def interleave(
    scenario: RollCallScenario,
    actions: dict[str, tuple[ConcurrentClient, Callable[[RollCallScenario], Awaitable[Any]]]],
    seed: int,
) -> dict[str, Any]:
    """Run the actions concurrently, with their statements in an order determined by `seed`. Return the result or the
    exception of each action.
    """
    rng = random.Random(seed)
    for client, _ in actions.values():
        client.is_controlled, client.executed = True, []
        client.waiting.clear()
        client.may_continue.clear()
    tasks = {
        name: asyncio.ensure_future(action(client.scenario)) for name, (client, action) in actions.items()
    }
    try:
        while not all(task.done() for task in tasks.values()):
            ready = sorted(
                n for n, (client, _) in actions.items() if client.waiting.is_set() and not tasks[n].done()
            )
            if not ready:
                await asyncio.sleep(POLL_SECONDS)
                continue
            chosen = rng.choice(ready)
            client = actions[chosen][0]
            client.waiting.clear()
            client.may_continue.set()
            await _run_until_blocked_or_waiting(scenario, client, tasks[chosen])
    finally:
        for client, _ in actions.values():
            client.is_controlled = False
            client.may_continue.set()
    return dict(zip(tasks, await asyncio.gather(*tasks.values(), return_exceptions=True), strict=True))


async def _run_until_blocked_or_waiting(
    scenario: RollCallScenario, client: ConcurrentClient, task: "asyncio.Future[Any]"
) -> None:
    """Wait until the client is at its next statement, has finished, or waits for a lock."""
    polls = 0
    while not (client.waiting.is_set() or task.done()):
        await asyncio.sleep(0 if polls < 20 else POLL_SECONDS)
        polls += 1
        if polls % 25 == 0 and await _is_blocked(scenario, client):
            return


async def _is_blocked(scenario: RollCallScenario, client: ConcurrentClient) -> bool:
    async with scenario.owner_transaction() as session:
        return bool((await session.execute(_WAITING_FOR_LOCK, {"backends": client.backends})).first())
