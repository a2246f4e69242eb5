"""Computing for each of many in the order in which they came, while the loop goes on serving others."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_WITHOUT_BREATH = 4
_SMOOTHING = 0.01
"""Weight of the newest measurement of the pace: about the last hundred count, so that a stall of the machine is no rush."""


async def yield_to_loop(number: int) -> None:
    """Before the member of a batch with this number: now and then let others' requests be read, and their times taken.

    A signature costs a tenth of a millisecond, so that nobody's instant is taken more than a millisecond late.
    """
    if number % _WITHOUT_BREATH == 0 and number:
        await asyncio.sleep(0)


class FairQueue(Generic[Item, Result]):
    """`work` for one after another, and after each a turn of the loop: whoever asks the database takes a dozen turns, and
    would wait for as many of several. A task lives only while somebody waits for it.
    """

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self._work = work
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._pace = 0.0

    @property
    def queued(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def expected_wait(self) -> float:
        """Seconds until one that comes now would have its turn, as it went lately."""
        return len(self._queue) * self._pace

    async def done(self, item: Item) -> Result:
        """What `work` makes of `item`, or raises of it."""
        place: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, place))
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        return await place

    async def _serve(self) -> None:
        try:
            while self._queue:
                began = monotonic()
                self._serve_one(*self._queue.popleft())
                await asyncio.sleep(0)
                self._pace += _SMOOTHING * (monotonic() - began - self._pace)
        finally:
            self._task = None

    def _serve_one(self, item: Item, place: asyncio.Future[Result]) -> None:
        if place.done():  # whoever hung up needs nothing computed
            return
        try:
            place.set_result(self._work(item))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told to whoever caused it
            place.set_exception(error)
