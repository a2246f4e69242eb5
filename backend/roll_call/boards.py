"""Boards that many watch: each is read once for all of its watchers, however many there are.

A process holds one board for each unit (or counselor) that somebody looks at. A nudge through Redis says that something
changed; without Redis every board is looked at again from time to time. Few are read at once, so that many different
boards become slower instead of crowding out the check-ins.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from backend.core.redis_link import RedisLink
from backend.core.runtime import Runtime
from backend.roll_call.progress import CHANNEL

LEAST_SECONDS_BETWEEN = 1.0
"""However many outcomes arrive, a board is read at most this often."""
LOOK_AGAIN_SECONDS = 10.0
"""Without a nudge (Redis gone, or nothing new) a board is read this often."""
READ_AT_ONCE = 4
_EXTRA = "boards"

Look = Callable[[], Awaitable[str]]

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Board:
    roll_call_id: UUID
    look: Look
    text: str
    watchers: int = 0
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Task[None] | None = None

    def show(self, text: str) -> None:
        """Wake whoever watches; the next change has an event of its own."""
        self.text = text
        self.changed.set()
        self.changed = asyncio.Event()


class Boards:
    """All boards of a process."""

    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis
        self._boards: dict[Hashable, _Board] = {}
        self._few = asyncio.Semaphore(READ_AT_ONCE)
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Those of this process, made on first use."""
        boards: Self = runtime.extras.setdefault(_EXTRA, cls(runtime.redis))
        return boards

    def __len__(self) -> int:
        return len(self._boards)

    async def watch(
        self, key: Hashable, roll_call_id: UUID, first: str, look: Look, over: Callable[[], bool]
    ) -> AsyncGenerator[str]:
        """What the board of `key` says, now and whenever it changes, until it is `over` for this watcher.

        `first` is what the watcher has just read by `look`.
        """
        board = self._boards.get(key)
        if board is None:
            board = self._boards[key] = _Board(roll_call_id, look, first)
            board.reading = asyncio.create_task(self._keep_reading(board))
            self._listen()
        board.watchers += 1
        try:
            yield first
            shown = first
            while True:
                changed = board.changed
                if board.text == shown:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), LOOK_AGAIN_SECONDS)
                if over():
                    return
                if board.text != shown:
                    shown = board.text
                    yield shown
        finally:
            board.watchers -= 1
            if not board.watchers:
                await self._take_down(key, board)

    async def _take_down(self, key: Hashable, board: _Board) -> None:
        del self._boards[key]
        ended = [board.reading]
        if not self._boards:
            ended.append(self._listening)
            self._listening = None
        for task in ended:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _keep_reading(self, board: _Board) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(board.nudged.wait(), LOOK_AGAIN_SECONDS)
            board.nudged.clear()
            try:
                async with self._few:
                    text = await board.look()
            except Exception as error:  # noqa: BLE001 - the database may be away: the board stays as it is
                log.warning("a board could not be read", error=type(error).__name__)
            else:
                if text != board.text:
                    board.show(text)
            await asyncio.sleep(LEAST_SECONDS_BETWEEN)

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = asyncio.create_task(self._keep_listening())

    async def _keep_listening(self) -> None:
        """One subscription for all boards; while Redis is away boards are read by the clock alone."""
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
        for board in self._boards.values():
            if name == CHANNEL + str(board.roll_call_id):
                board.nudged.set()
