"""Work in the order of arrival: each caller gets its own error, and the event loop runs in between."""

import asyncio

import pytest

from backend.core.batching.fair_queue import FairQueue


def halve(number: int) -> int:
    if number % 2:
        msg = f"odd: {number}"
        raise ValueError(msg)
    return number // 2


async def test_each_caller_gets_its_own_result_or_error() -> None:
    queue = FairQueue(halve)
    results = await asyncio.gather(*(queue.run(number) for number in (2, 3, 4)), return_exceptions=True)
    assert (results[0], results[2]) == (1, 2)
    assert str(results[1]) == "odd: 3"


async def test_items_run_in_order_and_other_tasks_run_in_between() -> None:
    served: list[str] = []
    queue: FairQueue[int, None] = FairQueue(lambda number: served.append(str(number)))

    async def other() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        served.append("other")

    await asyncio.gather(other(), *(queue.run(number) for number in range(40)))
    numbers = [each for each in served if each != "other"]
    assert numbers == [str(number) for number in range(40)]
    assert served[-1] != "other"


async def test_item_of_a_cancelled_caller_is_skipped() -> None:
    served: list[int] = []
    queue = FairQueue(served.append)
    cancelled, other = (asyncio.create_task(queue.run(number)) for number in (1, 2))
    asyncio.get_running_loop().call_soon(cancelled.cancel)
    await other
    assert served == [2]
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_empty_queue_has_no_task_and_no_expected_wait() -> None:
    queue = FairQueue(halve)
    await queue.run(2)
    assert (queue.queued, queue.expected_wait()) == (0, 0.0)
    await asyncio.sleep(0)
    assert queue._task is None
