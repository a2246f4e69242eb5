"""Group commit: a batch is what was queued meanwhile; no item waits for others or fails because of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from backend.core.batching.batch_writer import DEFER, BatchLimits, BatchWriter, Deferred


@dataclass
class Store:
    """Writes while it is open, and records the batches."""

    batches: list[list[int]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    written_alone: list[int] = field(default_factory=list)

    async def write(self, batch: Sequence[int]) -> Sequence[str | Deferred]:
        self.batches.append(list(batch))
        await self.open.wait()
        if any(item < 0 for item in batch):
            msg = f"no negative numbers: {batch}"
            raise ValueError(msg)
        return [DEFER if item >= 100 else str(item) for item in batch]

    async def write_alone(self, item: int) -> str:
        self.written_alone.append(item)
        return f"alone {item}"


def make_writer(
    batch: int = 3, writers: int = 1, max_wait: float = 60
) -> tuple[Store, BatchWriter[int, str]]:
    store = Store()
    return store, BatchWriter(store.write, store.write_alone, BatchLimits(batch, writers, max_wait=max_wait))


async def queue_items(writer: BatchWriter[int, str], *items: int) -> list[asyncio.Task[str]]:
    """Queue the items one after another."""
    tasks = [asyncio.create_task(writer.write(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_items_queued_during_a_write_form_the_next_batch() -> None:
    store, writer = make_writer()
    first = await queue_items(writer, 1)
    rest = await queue_items(writer, 2, 3, 4, 5)
    assert writer.queued == 4
    store.open.set()
    assert await asyncio.gather(*first, *rest) == ["1", "2", "3", "4", "5"]
    assert store.batches == [[1], [2, 3, 4], [5]]


async def test_second_writer_starts_only_for_a_full_batch() -> None:
    store, writer = make_writer(batch=3, writers=2)
    tasks = [*await queue_items(writer, 1), *await queue_items(writer, 2, 3)]
    assert store.batches == [[1]]
    tasks += [*await queue_items(writer, 4), *await queue_items(writer, 5)]
    assert store.batches == [[1], [2, 3, 4]]
    store.open.set()
    assert await asyncio.gather(*tasks) == ["1", "2", "3", "4", "5"]
    assert store.batches[2:] == [[5]]


async def test_batch_with_room_waits_for_expected_items() -> None:
    store, writer = make_writer(batch=3)
    store.open.set()
    with writer.expect_item():
        first = await queue_items(writer, 1, 2)
        assert store.batches == []
        last = writer.submit(3)
    assert await asyncio.gather(*first, last) == ["1", "2", "3"]
    assert store.batches == [[1, 2, 3]]


async def test_expected_item_that_never_arrives_does_not_block_the_batch() -> None:
    store, writer = make_writer()
    store.open.set()
    with writer.expect_item():
        (task,) = await queue_items(writer, 1)
        assert store.batches == []
    assert await task == "1"


async def test_batch_waits_for_expected_items_at_most_max_wait() -> None:
    store, writer = make_writer(batch=3, max_wait=0)
    store.open.set()
    with writer.expect_item(), writer.expect_item():
        first = writer.submit(1)
        assert await first == "1"
        second = writer.submit(2)
    assert await second == "2"
    assert store.batches == [[1], [2]]


async def test_full_batch_does_not_wait() -> None:
    store, writer = make_writer(batch=3)
    store.open.set()
    with writer.expect_item():
        assert await asyncio.gather(*(writer.write(item) for item in (1, 2, 3))) == ["1", "2", "3"]


async def test_failed_batch_is_repeated_item_by_item() -> None:
    store, writer = make_writer()
    store.open.set()
    answers = await asyncio.gather(*(writer.write(item) for item in (1, -2, 3)), return_exceptions=True)
    assert (answers[0], answers[2]) == ("1", "3")
    assert isinstance(answers[1], ValueError)
    assert str(answers[1]) == "no negative numbers: [-2]"


async def test_deferred_item_is_written_alone() -> None:
    store, writer = make_writer()
    store.open.set()
    assert await asyncio.gather(*(writer.write(item) for item in (1, 100))) == ["1", "alone 100"]
    assert store.written_alone == [100]


async def test_cancelled_caller_does_not_affect_the_batch() -> None:
    store, writer = make_writer()
    cancelled, other = await queue_items(writer, 1, 2)
    cancelled.cancel()
    store.open.set()
    assert await other == "2"
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_idle_writer_has_no_tasks_and_no_expected_wait() -> None:
    store, writer = make_writer()
    store.open.set()
    await writer.write(1)
    await asyncio.sleep(0)
    assert not writer._tasks
    assert writer.expected_wait() == 0.0
