"""Eligibility for the gaokao on a day, from the ledger, and the effect of an upheld appeal."""

from datetime import timedelta

import pytest

from backend.appeal.errors import ConflictOfInterest, DayToCome, EligibleAlready, NotThisGaokao
from backend.appeal.tables import GaokaoFinding
from backend.core.errors import NotFound
from backend.standing.appeal_errors import AlreadyAppealed
from tests.support.appeal import AppealScenario
from tests.support.province import bureau_account
from tests.support.standing.prompt_actions import decide as decide_prompt
from tests.support.standing.prompt_actions import raise_received_prompt

pytestmark = [pytest.mark.clause("HN334-2.4"), pytest.mark.clause("HN334-4.2")]


async def test_eligibility_on_a_past_day_follows_the_status_of_that_day(appeals: AppealScenario) -> None:
    change = await appeals.execute_prompt()
    appeals.standing_scenario.set_clock(days=3)
    today = appeals.standing_scenario.today
    before = await appeals.load_eligibility(today - timedelta(days=5))
    assert (before.eligible, before.reasons) == (True, ("in_good_standing",))
    now = await appeals.load_eligibility(today, appeals.student)
    assert (now.eligible, now.reasons) == (False, ("not_full_time",))
    assert [entry.entry_id for entry in now.entries] == [str(change.id)]


async def test_a_reversed_change_leaves_no_gap_in_eligibility(appeals: AppealScenario) -> None:
    change = await appeals.execute_prompt()
    appeals.standing_scenario.set_clock(days=3)
    between = appeals.standing_scenario.today - timedelta(days=1)
    assert not (await appeals.load_eligibility(between)).eligible
    await appeals.decide(await appeals.against_change(change.id))
    assert (await appeals.load_eligibility(between)).eligible


async def test_a_suspended_student_is_not_eligible(appeals: AppealScenario) -> None:
    prompt_id = await raise_received_prompt(appeals.standing_scenario)
    await decide_prompt(appeals.standing_scenario, prompt_id, "suspension", reasons="本人申请休学")
    found = await appeals.load_eligibility(appeals.standing_scenario.today)
    assert (found.eligible, found.reasons, found.status.standing) == (False, ("not_attending",), "02")


async def test_an_upheld_appeal_grants_eligibility_without_a_change(
    appeals: AppealScenario,
) -> None:
    await appeals.execute_prompt()
    today = appeals.standing_scenario.today
    appeal = await appeals.against_ineligibility(today)
    assert appeal.case.judged_on == today
    with pytest.raises(AlreadyAppealed):
        await appeals.against_ineligibility(today)
    await appeals.decide(appeal)
    found = await appeals.load_eligibility(today)
    assert (found.eligible, found.reasons) == (True, ("not_full_time", "appeal_upheld"))
    assert found.finding is not None
    assert found.finding.statement == "材料已核实"
    assert await appeals.standing_scenario.status() == ("01", "part_time")
    assert len(await appeals.standing_scenario.rows(GaokaoFinding)) == 1


async def test_the_decider_of_a_change_cannot_decide_on_eligibility(
    appeals: AppealScenario,
) -> None:
    prompt_id = await raise_received_prompt(appeals.standing_scenario)
    await decide_prompt(appeals.standing_scenario, prompt_id)
    appeal = await appeals.against_ineligibility(appeals.standing_scenario.today)
    first = await appeals.reject(appeal)
    second = await appeals.appeal_to_next_level(first)
    with pytest.raises(ConflictOfInterest):
        await appeals.decide(second)
    await appeals.decide(second, appeals.other_province)


async def test_only_missing_eligibility_for_the_next_gaokao_is_appealed(appeals: AppealScenario) -> None:
    today = appeals.standing_scenario.today
    with pytest.raises(EligibleAlready):
        await appeals.against_ineligibility(today)
    for day in (today + timedelta(days=1), today - timedelta(days=400)):
        with pytest.raises(NotThisGaokao):
            await appeals.against_ineligibility(day)


async def test_future_days_and_foreign_students_have_no_answer(
    appeals: AppealScenario,
) -> None:
    with pytest.raises(DayToCome):
        await appeals.load_eligibility(appeals.standing_scenario.today + timedelta(days=1))
    with pytest.raises(NotFound):
        await appeals.load_eligibility(
            appeals.standing_scenario.today,
            bureau_account(appeals.standing_scenario.roll_call_scenario.world.other_city),
        )
