"""ProgressStreams that many watch: drawn once for all of their watchers, however many there are.

A process reads a roll call that somebody watches at most once a second, however many units of it are looked at, when a
nudge through Redis says that something changed; without Redis it looks again from time to time. Whoever watches is told
a few at a time, so that thousands of dashboards do not keep a check-in waiting.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from backend.core.app_context import AppContext
from backend.roll_call.progress.access import CHANNEL, ProgressAccess
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.totals import RollCallTotals

LEAST_SECONDS_BETWEEN = 1.0
"""However many outcomes arrive, a roll call is read at most this often."""
LOOK_AGAIN_SECONDS = 10.0
"""Without a nudge (Redis gone, or nothing new) it is read this often."""
TOLD_AT_ONCE, BREATH_SECONDS = 16, 0.004
"""So many watchers are told, and then others have their turn."""

log = structlog.get_logger()


def as_event(board: str) -> bytes:
    """A board as one server-sent event named `progress`."""
    return f"event: progress\r\ndata: {board}\r\n\r\n".encode()


@dataclass(eq=False, slots=True)
class _Board:
    view: ProgressAccess
    drawn: str
    event: bytes
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, tally: RollCallTotals) -> int:
        """Wake whoever watches if it has changed; how many. The next change has an event of its own."""
        drawn = self.view.drawn(tally)
        if drawn == self.drawn:
            return 0
        self.drawn, self.event = drawn, as_event(drawn)
        self.changed.set()
        self.changed = asyncio.Event()
        return self.watchers


@dataclass(eq=False, slots=True)
class _Wall:
    """All boards of one roll call."""

    boards: dict[ProgressAccess, _Board] = field(default_factory=dict)
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Task[None] | None = None


class ProgressStreams:
    """All boards of a process."""

    def __init__(self, app_context: AppContext) -> None:
        self._redis = app_context.redis
        self._tallies = app_context.service(TotalsCache)
        self._walls: dict[UUID, _Wall] = {}
        self._listening: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return sum(len(wall.boards) for wall in self._walls.values())

    async def watch(
        self, view: ProgressAccess, first: str, over: Callable[[], bool]
    ) -> AsyncGenerator[bytes]:
        """What a view shows, now and whenever it changes, as events, until it is `over` for this watcher.

        `first` is what the watcher has just read.
        """
        board = self._put_up(view, first)
        board.watchers += 1
        try:
            shown = board.event
            yield shown
            while True:
                changed = board.changed
                if board.event is shown:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), LOOK_AGAIN_SECONDS)
                if over():
                    return
                if board.event is not shown:
                    shown = board.event
                    yield shown
        finally:
            board.watchers -= 1
            if not board.watchers:
                await self._take_down(board)

    def _put_up(self, view: ProgressAccess, first: str) -> _Board:
        wall = self._walls.get(view.roll_call_id)
        if wall is None:
            wall = self._walls[view.roll_call_id] = _Wall()
            wall.reading = asyncio.create_task(self._keep_reading(wall, view))
        if self._listening is None:
            self._listening = asyncio.create_task(self._keep_listening())
        board = wall.boards.get(view)
        if board is None:
            board = wall.boards[view] = _Board(view, first, as_event(first))
        return board

    async def _take_down(self, board: _Board) -> None:
        wall = self._walls[board.view.roll_call_id]
        del wall.boards[board.view]
        ended: list[asyncio.Task[None] | None] = []
        if not wall.boards:
            del self._walls[board.view.roll_call_id]
            ended.append(wall.reading)
        if not self._walls:
            ended.append(self._listening)
            self._listening = None
        for task in ended:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _keep_reading(self, wall: _Wall, view: ProgressAccess) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(wall.nudged.wait(), LOOK_AGAIN_SECONDS)
            wall.nudged.clear()
            try:
                tally = await self._tallies.fresh(view.roll_call_id, view.launcher_path)
                await _tell(wall, tally)
            except Exception as error:  # noqa: BLE001 - the database may be away: the boards stay as they are
                log.warning("a roll call could not be read", error=type(error).__name__)
            await asyncio.sleep(LEAST_SECONDS_BETWEEN)

    async def _keep_listening(self) -> None:
        """One subscription for all boards; while Redis is away they are read by the clock alone."""
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.psubscribe(CHANNEL + "*")
                    while True:
                        message = await subscription.get_message(
                            ignore_subscribe_messages=True, timeout=LOOK_AGAIN_SECONDS
                        )
                        if message is not None:
                            self._nudge(message["channel"])
            except (RedisError, OSError):
                await asyncio.sleep(LEAST_SECONDS_BETWEEN)

    def _nudge(self, channel: bytes | str) -> None:
        name = channel.decode() if isinstance(channel, bytes) else channel
        for roll_call_id, wall in self._walls.items():
            if name == CHANNEL + str(roll_call_id):
                wall.nudged.set()


async def _tell(wall: _Wall, tally: RollCallTotals) -> None:
    """Show what changed, a few watchers at a time."""
    told = 0
    for board in list(wall.boards.values()):
        told += board.show(tally)
        if told >= TOLD_AT_ONCE:
            told = 0
            await asyncio.sleep(BREATH_SECONDS)
