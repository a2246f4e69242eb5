"""Work in turn: in the order of arrival, one error for one, and the loop served in between."""

import asyncio

import pytest

from backend.core.batching.fair_queue import FairQueue


def halved(number: int) -> int:
    if number % 2:
        msg = f"odd: {number}"
        raise ValueError(msg)
    return number // 2


async def test_each_gets_what_was_made_of_its_own_and_an_error_is_told_to_its_cause_alone() -> None:
    in_turn = FairQueue(halved)
    made = await asyncio.gather(*(in_turn.done(number) for number in (2, 3, 4)), return_exceptions=True)
    assert (made[0], made[2]) == (1, 2)
    assert str(made[1]) == "odd: 3"


async def test_many_are_served_in_their_order_with_others_served_in_between() -> None:
    served: list[str] = []
    in_turn: FairQueue[int, None] = FairQueue(lambda number: served.append(str(number)))

    async def other() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        served.append("other")

    await asyncio.gather(other(), *(in_turn.done(number) for number in range(40)))
    numbers = [each for each in served if each != "other"]
    assert numbers == [str(number) for number in range(40)]
    assert served[-1] != "other"


async def test_for_whoever_hung_up_nothing_is_computed() -> None:
    served: list[int] = []
    in_turn = FairQueue(served.append)
    gone, there = (asyncio.create_task(in_turn.done(number)) for number in (1, 2))
    asyncio.get_running_loop().call_soon(gone.cancel)
    await there
    assert served == [2]
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_nobody_waits_where_nobody_is() -> None:
    in_turn = FairQueue(halved)
    await in_turn.done(2)
    assert (in_turn.queued, in_turn.expected_wait()) == (0, 0.0)
    await asyncio.sleep(0)
    assert in_turn._task is None
