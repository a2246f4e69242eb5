"""Who decides for a colleague, and for how long, in the database."""

from typing import Any
from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.leave.errors import StandInOver, StandInUnfit
from backend.leave.stand_ins import end_stand_in, load_stand_ins_page
from tests.support.leave import LeaveScenario
from tests.support.province import registrar_account

pytestmark = pytest.mark.clause("HN334-3.5a")


async def end_arrangement(scenario: LeaveScenario, actor: Actor, arrangement_id: UUID) -> None:
    async with scenario.transaction(actor) as session:
        await end_stand_in(session, actor, arrangement_id, scenario.next_act())


async def test_stand_in_decides_during_the_period_and_is_recorded(scenario: LeaveScenario) -> None:
    klass = scenario.school.classes[1]
    colleague = await scenario.roll_call_scenario.account("counselor", scenario.school, klass)
    asked, later = await scenario.request(), await scenario.request(first=4)
    await scenario.name_stand_in(colleague)
    decided = await scenario.decide(asked, actor=colleague)
    assert decided.decision is not None
    assert decided.decision.represented_counselor_id == scenario.counselor.counselor_id
    scenario.set_clock(days=3, minute=1)
    with pytest.raises(NotFound):
        await scenario.decide(later, actor=colleague)


async def test_stand_in_ended_early_cannot_decide(scenario: LeaveScenario) -> None:
    klass = scenario.school.classes[1]
    colleague = await scenario.roll_call_scenario.account("counselor", scenario.school, klass)
    asked = await scenario.request()
    arrangement = await scenario.name_stand_in(colleague)
    with pytest.raises(NotPermitted):
        await end_arrangement(scenario, colleague, arrangement)
    with pytest.raises(NotFound):
        await end_arrangement(
            scenario, registrar_account(scenario.roll_call_scenario.world.sister), arrangement
        )
    counselor = scenario.counselor
    await end_arrangement(scenario, counselor, arrangement)
    with pytest.raises(NotFound):
        await scenario.decide(asked, actor=colleague)
    with pytest.raises(StandInOver):
        await end_arrangement(scenario, scenario.roll_call_scenario.registrar, arrangement)
    for actor in (colleague, counselor):
        async with scenario.transaction(actor) as session:
            (seen,) = (await load_stand_ins_page(session, actor, PageRequest(5))).rows
        assert seen.ended is not None
        assert seen.ended.ended_by == counselor.account_id


@pytest.mark.parametrize("wrong", ["myself", "inactive", "over", "nobody", "registrar"])
async def test_stand_in_must_be_an_active_colleague_of_the_school(
    scenario: LeaveScenario, wrong: str
) -> None:
    colleague = scenario.colleague
    if wrong != "inactive":
        colleague = await scenario.roll_call_scenario.account(
            "counselor", scenario.school, scenario.school.classes[1]
        )
    changes: dict[str, dict[str, Any]] = {
        "myself": {"stand_in_id": scenario.counselor.counselor_id},
        "over": {"ends_at": scenario.at},
        "nobody": {"stand_in_id": new_id()},
        "registrar": {"acting": scenario.roll_call_scenario.registrar},
    }
    refusals: dict[str, type[DomainError]] = {"nobody": NotFound, "registrar": NotPermitted}
    with pytest.raises(refusals.get(wrong, StandInUnfit)):
        await scenario.name_stand_in(colleague, **changes.get(wrong, {}))
