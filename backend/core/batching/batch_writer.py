"""Group commit: what arrives together is written in one transaction, and nobody waits for company.

A batch is whatever queued up while the batches before it were being written: one alone and at once when there is
nothing to do, dozens in a rush. Whoever was announced is on the way already, and is waited for a few milliseconds.
A batch that fails is done again one by one, so that no member spoils another.
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
"""Weight of the newest batch in the measured length of one: about the last ten count."""


class Deferred(Enum):
    """Instead of an answer: this one waits for somebody else, and shall not keep the rest of its batch waiting."""

    DEFER = "defer"


DEFER = Deferred.DEFER


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much a gatherer does at once.

    `batch` members share a transaction. A second writer, up to `writers`, helps only with a full batch: with less, two would
    halve each other's batches and pay for twice as many. Two are enough for one to compute while the other waits for the
    disk. `alone` of those set aside wait for their locks, each in a transaction of its own. Nobody waits longer than
    `max_wait` seconds for those who were announced.
    """

    batch: int
    writers: int = 2
    alone: int = 4
    max_wait: float = 0.005


@dataclass(slots=True, eq=False)
class _Place(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]
    since: float


class BatchWriter(Generic[Item, Answer]):
    """`write` commits a batch and answers each member or sets it aside; `wait` commits one that was set aside.

    Tasks live only while there is something to write: an idle process has none.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Deferred]]],
        wait: Callable[[Item], Awaitable[Answer]],
        bounds: BatchLimits,
    ) -> None:
        self._write = write
        self._wait = wait
        self._bounds = bounds
        self._queue: deque[_Place[Item, Answer]] = deque()
        self._aside: deque[_Place[Item, Answer]] = deque()
        self._coming = 0
        self._writing = 0
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._round = 0.0

    @property
    def queued(self) -> int:
        """How many have not been taken up yet."""
        return len(self._queue) + len(self._aside)

    def expected_wait(self) -> float:
        """Seconds until one that comes now would be taken up, as the latest batches went."""
        return len(self._queue) / (self._bounds.batch * self._bounds.writers) * self._round

    async def answer(self, item: Item) -> Answer:
        """What becomes of `item`, once its transaction is committed; raises what that raised for it alone."""
        return await self.join(item)

    def join(self, item: Item) -> asyncio.Future[Answer]:
        """The same, without waiting for it here."""
        place: _Place[Item, Answer] = _Place(item, asyncio.get_running_loop().create_future(), monotonic())
        self._queue.append(place)
        self._see_to_it()
        return place.answer

    @contextmanager
    def expect_item(self) -> Iterator[None]:
        """Somebody is about to join, unless something comes in between: a batch with room stays open for them, a while.

        Each who joins or does not come lets the batch be looked at again, so that its max_wait needs no clock of its own.
        """
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._see_to_it()

    def _see_to_it(self) -> None:
        if self._worth_a_writer(self._writing):
            self._writing += 1
            self._start(self._drain())

    def _worth_a_writer(self, others: int) -> bool:
        """Whether somebody should write what is queued, while so many others write already."""
        if len(self._queue) >= self._bounds.batch:
            return others < self._bounds.writers
        if others or not self._queue:
            return False
        return self._coming == 0 or monotonic() - self._queue[0].since >= self._bounds.max_wait

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        try:
            while self._worth_a_writer(self._writing - 1):
                count = min(len(self._queue), self._bounds.batch)
                await self._commit([self._queue.popleft() for _ in range(count)])
        finally:
            self._writing -= 1

    async def _commit(self, batch: Sequence[_Place[Item, Answer]]) -> None:
        began = monotonic()
        try:
            answers = await self._write([place.item for place in batch])
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told to whoever caused it
            if len(batch) == 1:
                _fail(batch[0], error)
            else:
                for place in batch:
                    await self._commit([place])
            return
        for place, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Deferred):
                self._set_aside(place)
            elif not place.answer.done():  # whoever hung up is not told
                place.answer.set_result(answer)
        self._round += _SMOOTHING * (monotonic() - began - self._round)

    def _set_aside(self, place: _Place[Item, Answer]) -> None:
        self._aside.append(place)
        if self._waiting < self._bounds.alone:
            self._waiting += 1
            self._start(self._serve_aside())

    async def _serve_aside(self) -> None:
        try:
            while self._aside:
                place = self._aside.popleft()
                try:
                    answer = await self._wait(place.item)
                except Exception as error:  # noqa: BLE001 - as above
                    _fail(place, error)
                else:
                    if not place.answer.done():
                        place.answer.set_result(answer)
        finally:
            self._waiting -= 1


def _fail(place: _Place[Item, Answer], error: Exception) -> None:
    if not place.answer.done():
        place.answer.set_exception(error)
