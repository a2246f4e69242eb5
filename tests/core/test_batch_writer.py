"""Group commit: a batch is whatever queued up meanwhile; no member waits for company or suffers for another."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from backend.core.batching.batch_writer import DEFER, BatchLimits, BatchWriter, Deferred


@dataclass
class Store:
    """Writes when it is let, and remembers the batches."""

    batches: list[list[int]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    waited: list[int] = field(default_factory=list)

    async def write(self, batch: Sequence[int]) -> Sequence[str | Deferred]:
        self.batches.append(list(batch))
        await self.open.wait()
        if any(item < 0 for item in batch):
            msg = f"no negative numbers: {batch}"
            raise ValueError(msg)
        return [DEFER if item >= 100 else str(item) for item in batch]

    async def wait(self, item: int) -> str:
        self.waited.append(item)
        return f"waited {item}"


def gathering(batch: int = 3, writers: int = 1, max_wait: float = 60) -> tuple[Store, BatchWriter[int, str]]:
    store = Store()
    return store, BatchWriter(store.write, store.wait, BatchLimits(batch, writers, max_wait=max_wait))


async def arrive(gatherer: BatchWriter[int, str], *items: int) -> list[asyncio.Task[str]]:
    """Let them arrive, each in its turn."""
    tasks = [asyncio.create_task(gatherer.answer(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_the_first_goes_alone_and_the_next_batch_is_who_came_meanwhile() -> None:
    store, gatherer = gathering()
    first = await arrive(gatherer, 1)
    rest = await arrive(gatherer, 2, 3, 4, 5)
    assert gatherer.queued == 4
    store.open.set()
    assert await asyncio.gather(*first, *rest) == ["1", "2", "3", "4", "5"]
    assert store.batches == [[1], [2, 3, 4], [5]]


async def test_a_second_writer_helps_with_a_full_batch_and_not_before() -> None:
    store, gatherer = gathering(batch=3, writers=2)
    tasks = [*await arrive(gatherer, 1), *await arrive(gatherer, 2, 3)]
    assert store.batches == [[1]]
    tasks += [*await arrive(gatherer, 4), *await arrive(gatherer, 5)]
    assert store.batches == [[1], [2, 3, 4]]
    store.open.set()
    assert await asyncio.gather(*tasks) == ["1", "2", "3", "4", "5"]
    assert store.batches[2:] == [[5]]


async def test_a_batch_with_room_waits_for_who_was_announced() -> None:
    store, gatherer = gathering(batch=3)
    store.open.set()
    with gatherer.expect_item():
        first = await arrive(gatherer, 1, 2)
        assert store.batches == []
        last = gatherer.join(3)
    assert await asyncio.gather(*first, last) == ["1", "2", "3"]
    assert store.batches == [[1, 2, 3]]


async def test_who_was_announced_and_does_not_come_keeps_nobody_waiting() -> None:
    store, gatherer = gathering()
    store.open.set()
    with gatherer.expect_item():
        (task,) = await arrive(gatherer, 1)
        assert store.batches == []
    assert await task == "1"


async def test_patience_with_the_announced_has_an_end() -> None:
    store, gatherer = gathering(batch=3, max_wait=0)
    store.open.set()
    with gatherer.expect_item(), gatherer.expect_item():
        first = gatherer.join(1)
        assert await first == "1"
        second = gatherer.join(2)
    assert await second == "2"
    assert store.batches == [[1], [2]]


async def test_a_full_batch_waits_for_nobody() -> None:
    store, gatherer = gathering(batch=3)
    store.open.set()
    with gatherer.expect_item():
        assert await asyncio.gather(*(gatherer.answer(item) for item in (1, 2, 3))) == ["1", "2", "3"]


async def test_a_batch_that_fails_is_done_again_one_by_one() -> None:
    store, gatherer = gathering()
    store.open.set()
    answers = await asyncio.gather(*(gatherer.answer(item) for item in (1, -2, 3)), return_exceptions=True)
    assert (answers[0], answers[2]) == ("1", "3")
    assert isinstance(answers[1], ValueError)
    assert str(answers[1]) == "no negative numbers: [-2]"


async def test_who_is_set_aside_waits_apart_from_the_others() -> None:
    store, gatherer = gathering()
    store.open.set()
    assert await asyncio.gather(*(gatherer.answer(item) for item in (1, 100))) == ["1", "waited 100"]
    assert store.waited == [100]


async def test_whoever_hung_up_keeps_nobody_from_an_answer() -> None:
    store, gatherer = gathering()
    gone, there = await arrive(gatherer, 1, 2)
    gone.cancel()
    store.open.set()
    assert await there == "2"
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_an_idle_gatherer_has_no_tasks_and_expects_no_wait() -> None:
    store, gatherer = gathering()
    store.open.set()
    await gatherer.answer(1)
    await asyncio.sleep(0)
    assert not gatherer._tasks
    assert gatherer.expected_wait() == 0.0
