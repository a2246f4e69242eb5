"""The record of a link is kept for three years after its end, and with a legal record that names it."""

from datetime import timedelta

import pytest
from sqlalchemy import insert

from backend.core.ids import new_id
from backend.standing.store.tables import ClaimDecision, ReasonClaimRecord
from tests.support.guardian import GuardianApi, GuardianScenario
from tests.support.retention import run_retention

pytestmark = pytest.mark.clause("HN334-2.3")
DAY = timedelta(days=1)
LIFETIME, KEPT = 30 * DAY, 1096 * DAY


async def test_link_is_deleted_three_years_after_its_end(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    roll = scenario.standing.roll_call_scenario
    await run_retention(roll, LIFETIME + KEPT - DAY)
    assert len(await scenario.links()) == 1
    assert (await run_retention(roll, DAY))["guardian_links"].items >= 1
    assert await scenario.links() == []


async def test_link_that_a_legal_record_names_is_kept(
    scenario: GuardianScenario, api: GuardianApi, token: str
) -> None:
    roll, standing = scenario.standing.roll_call_scenario, scenario.standing
    roll_call = await standing.check()
    (link,) = await scenario.links()
    claim_id = new_id()
    claim = insert(ReasonClaimRecord).values(
        id=claim_id,
        roll_call_id=roll_call.id,
        school_id=standing.school.id,
        student_id=scenario.pupil.id,
        reason="illness",
        text="",
        leave_id=None,
        filed_by=link.guardian_id,
        guardian_link_id=link.id,
        filed_at=standing.at,
    )
    decision = insert(ClaimDecision).values(  # without it the open case would keep the link
        claim_id=claim_id,
        school_id=standing.school.id,
        student_id=scenario.pupil.id,
        accepted=False,
        opinion="",
        filed_by=link.guardian_id,
        decided_by=new_id(),
        at=standing.at,
    )
    async with roll.owner_transaction() as session:
        await session.execute(claim)
        await session.execute(decision)
    await run_retention(roll, 2 * (LIFETIME + KEPT))
    assert [kept.id for kept in await scenario.links()] == [link.id]
