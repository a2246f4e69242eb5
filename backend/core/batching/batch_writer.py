"""Group commit: items that arrive together are written in one transaction (docs/adr/0011-group-commit.md).

A batch consists of the items that were queued while earlier batches were being written: a single item when the process
is idle, dozens under load. If a caller announced an item, a batch stays open for it for a few milliseconds. A batch that
fails is repeated item by item, so that one item cannot make others fail.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_SMOOTHING = 0.2
"""Weight of the newest batch in the average duration: about the last ten batches count."""


class Deferred(Enum):
    """Returned for an item instead of an answer: its lock is held elsewhere, so it must be written alone."""

    DEFER = "defer"


DEFER = Deferred.DEFER


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of a `BatchWriter`.

    Up to `batch_size` items share a transaction. An additional writer, up to `writers`, starts only for a full batch: with
    fewer items, two writers would halve each other's batches and commit twice as often. Two are enough for one to compute
    while the other waits for the disk. Up to `deferred_writers` deferred items wait for their locks at a time, each in its
    own transaction. `max_wait` (seconds) limits the wait for announced items.
    """

    batch_size: int
    writers: int = 2
    deferred_writers: int = 4
    max_wait: float = 0.005


@dataclass(slots=True, eq=False)
class _QueuedItem(Generic[Item, Answer]):
    item: Item
    future: asyncio.Future[Answer]
    queued_at: float

    def resolve(self, result: Answer) -> None:
        if not self.future.done():  # the caller may have been cancelled
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class BatchWriter(Generic[Item, Answer]):
    """`write_batch` commits a batch and returns an answer or `DEFER` per item, in order. `write_alone` commits one item.

    If `write_batch` raises, it must have stored nothing: each item is then written again. An idle process has no tasks.
    """

    def __init__(
        self,
        write_batch: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Deferred]]],
        write_alone: Callable[[Item], Awaitable[Answer]],
        limits: BatchLimits,
    ) -> None:
        self._write_batch = write_batch
        self._write_alone = write_alone
        self._limits = limits
        self._queue: deque[_QueuedItem[Item, Answer]] = deque()
        self._deferred: deque[_QueuedItem[Item, Answer]] = deque()
        self._expected_items = 0
        self._writers = 0
        self._deferred_writers = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._average_seconds = 0.0

    @property
    def queued(self) -> int:
        """Number of items that no transaction has taken yet."""
        return len(self._queue) + len(self._deferred)

    def expected_wait(self) -> float:
        """Estimated seconds until an item that arrives now is taken, by the duration of recent batches."""
        return len(self._queue) / (self._limits.batch_size * self._limits.writers) * self._average_seconds

    async def write(self, item: Item) -> Answer:
        """Write an item and return its answer after the commit. Never raises another item's error."""
        return await self.submit(item)

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """Queue an item. The returned future has its answer after the commit."""
        queued: _QueuedItem[Item, Answer] = _QueuedItem(
            item, asyncio.get_running_loop().create_future(), monotonic()
        )
        self._queue.append(queued)
        self._start_writer_if_due()
        return queued.future

    @contextmanager
    def expect_item(self) -> Iterator[None]:
        """Announce that an item will probably be queued within this block, so that a batch stays open for it.

        There is no timer: `max_wait` is checked when an item is queued and at the end of each such block.
        """
        self._expected_items += 1
        try:
            yield
        finally:
            self._expected_items -= 1
            self._start_writer_if_due()

    def _start_writer_if_due(self) -> None:
        if self._is_writer_due(self._writers):
            self._writers += 1
            self._start_task(self._write_queue())

    def _is_writer_due(self, others: int) -> bool:
        """Whether to write the queue now, while `others` writers are at work."""
        if len(self._queue) >= self._limits.batch_size:
            return others < self._limits.writers
        if others or not self._queue:
            return False
        return self._expected_items == 0 or monotonic() - self._queue[0].queued_at >= self._limits.max_wait

    def _start_task(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_queue(self) -> None:
        try:
            while self._is_writer_due(self._writers - 1):
                count = min(len(self._queue), self._limits.batch_size)
                await self._commit([self._queue.popleft() for _ in range(count)])
        finally:
            self._writers -= 1

    async def _commit(self, batch: Sequence[_QueuedItem[Item, Answer]]) -> None:
        started_at = monotonic()
        try:
            results = await self._write_batch([queued.item for queued in batch])
        except Exception as error:  # noqa: BLE001 - any error goes to the caller whose item caused it
            if len(batch) == 1:
                batch[0].fail(error)
            else:
                for queued in batch:
                    await self._commit([queued])
            return
        for queued, result in zip(batch, results, strict=True):
            if isinstance(result, Deferred):
                self._defer(queued)
            else:
                queued.resolve(result)
        self._average_seconds += _SMOOTHING * (monotonic() - started_at - self._average_seconds)

    def _defer(self, queued: _QueuedItem[Item, Answer]) -> None:
        self._deferred.append(queued)
        if self._deferred_writers < self._limits.deferred_writers:
            self._deferred_writers += 1
            self._start_task(self._write_deferred())

    async def _write_deferred(self) -> None:
        try:
            while self._deferred:
                queued = self._deferred.popleft()
                try:
                    result = await self._write_alone(queued.item)
                except Exception as error:  # noqa: BLE001 - as above
                    queued.fail(error)
                else:
                    queued.resolve(result)
        finally:
            self._deferred_writers -= 1
