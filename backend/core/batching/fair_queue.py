"""FIFO execution of CPU-bound work that yields to the event loop after each item."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_YIELD_EVERY = 4
_SMOOTHING = 0.01
"""Weight of the newest item in the average duration: about the last hundred count, so one slow item is not taken for load."""


async def yield_to_loop(number: int) -> None:
    """Yield to the event loop before every fourth item of a batch; `number` is the position of the item.

    A signature takes a tenth of a millisecond, so the arrival time of other requests is taken at most a millisecond late.
    """
    if number % _YIELD_EVERY == 0 and number:
        await asyncio.sleep(0)


class FairQueue(Generic[Item, Result]):
    """Runs `work` for one item after another and yields to the event loop after each.

    Without that, a request that queries the database, which takes a dozen iterations of the loop, would wait for several
    items in each of them. A task exists only while items are queued.
    """

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self._work = work
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._average_seconds = 0.0

    @property
    def queued(self) -> int:
        """Number of items that wait."""
        return len(self._queue)

    def expected_wait(self) -> float:
        """Estimated seconds until an item that arrives now is processed, by the duration of recent items."""
        return len(self._queue) * self._average_seconds

    async def run(self, item: Item) -> Result:
        """Wait for the item's turn and return the result of `work`, or raise its error."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, result))
        if self._task is None:
            self._task = asyncio.create_task(self._process_queue())
        return await result

    async def _process_queue(self) -> None:
        try:
            while self._queue:
                started_at = monotonic()
                self._process(*self._queue.popleft())
                await asyncio.sleep(0)
                self._average_seconds += _SMOOTHING * (monotonic() - started_at - self._average_seconds)
        finally:
            self._task = None

    def _process(self, item: Item, result: asyncio.Future[Result]) -> None:
        if result.cancelled():  # by its caller
            return
        try:
            result.set_result(self._work(item))
        except Exception as error:  # noqa: BLE001 - any error goes to the caller whose item caused it
            result.set_exception(error)
