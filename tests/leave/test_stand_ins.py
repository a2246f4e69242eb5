"""Who decides for a colleague, and for how long, in the database."""

from typing import Any
from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.leave.errors import StandInOver, StandInUnfit
from backend.leave.stand_ins import end_stand_in, stand_ins_page
from tests.support.leave import Desk
from tests.support.province import registrar_account

pytestmark = pytest.mark.clause("HN334-3.5a")


async def ended(desk: Desk, actor: Actor, arrangement_id: UUID) -> None:
    async with desk.transaction(actor) as session:
        await end_stand_in(session, actor, arrangement_id, desk.next_act())


async def test_stand_in_decides_during_the_period_and_is_recorded(desk: Desk) -> None:
    klass = desk.school.classes[1]
    colleague = await desk.roll_call_scenario.account("counselor", desk.school, klass)
    asked, later = await desk.ask(), await desk.ask(first=4)
    await desk.name_stand_in(colleague)
    decided = await desk.decide(asked, actor=colleague)
    assert decided.decision is not None
    assert decided.decision.stood_in_for == desk.counselor.counselor_id
    desk.set_clock(days=3, minute=1)
    with pytest.raises(NotFound):
        await desk.decide(later, actor=colleague)


async def test_stand_in_ended_early_cannot_decide(desk: Desk) -> None:
    klass = desk.school.classes[1]
    colleague = await desk.roll_call_scenario.account("counselor", desk.school, klass)
    asked = await desk.ask()
    arrangement = await desk.name_stand_in(colleague)
    with pytest.raises(NotPermitted):
        await ended(desk, colleague, arrangement)
    with pytest.raises(NotFound):
        await ended(desk, registrar_account(desk.roll_call_scenario.world.sister), arrangement)
    counselor = desk.counselor
    await ended(desk, counselor, arrangement)
    with pytest.raises(NotFound):
        await desk.decide(asked, actor=colleague)
    with pytest.raises(StandInOver):
        await ended(desk, desk.roll_call_scenario.registrar, arrangement)
    for actor in (colleague, counselor):
        async with desk.transaction(actor) as session:
            (seen,) = await stand_ins_page(session, actor, None, 5)
        assert seen.ended is not None
        assert seen.ended.ended_by == counselor.account_id


@pytest.mark.parametrize("wrong", ["myself", "inactive", "over", "nobody", "registrar"])
async def test_stand_in_must_be_an_active_colleague_of_the_school(desk: Desk, wrong: str) -> None:
    colleague = desk.colleague
    if wrong != "inactive":
        colleague = await desk.roll_call_scenario.account("counselor", desk.school, desk.school.classes[1])
    changes: dict[str, dict[str, Any]] = {
        "myself": {"stand_in_id": desk.counselor.counselor_id},
        "over": {"ends_at": desk.at},
        "nobody": {"stand_in_id": new_id()},
        "registrar": {"acting": desk.roll_call_scenario.registrar},
    }
    refusals: dict[str, type[DomainError]] = {"nobody": NotFound, "registrar": NotPermitted}
    with pytest.raises(refusals.get(wrong, StandInUnfit)):
        await desk.name_stand_in(colleague, **changes.get(wrong, {}))
