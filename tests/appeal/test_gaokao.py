"""Eligibility for the gaokao at a date, from the ledger, and what an upheld appeal adds."""

from datetime import timedelta

import pytest

from backend.appeal.errors import ConflictOfInterest, DayToCome, EligibleAlready, NotThisGaokao
from backend.appeal.tables import GaokaoFinding
from backend.core.errors import NotFound
from backend.standing.appeal_errors import AlreadyAppealed
from tests.support.appeal import Docket
from tests.support.province import bureau_account
from tests.support.standing.prompt_actions import decide as decide_prompt
from tests.support.standing.prompt_actions import received

pytestmark = [pytest.mark.clause("HN334-2.4"), pytest.mark.clause("HN334-4.2")]


async def test_eligibility_on_a_past_day_is_that_of_the_status_of_the_day(docket: Docket) -> None:
    change = await docket.executed()
    docket.registry.set_clock(days=3)
    today = docket.registry.today
    before = await docket.eligible(today - timedelta(days=5))
    assert (before.eligible, before.reasons) == (True, ("in_good_standing",))
    now = await docket.eligible(today, docket.student)
    assert (now.eligible, now.reasons) == (False, ("not_full_time",))
    assert [entry.entry_id for entry in now.entries] == [str(change.id)]


async def test_a_reversed_change_leaves_no_gap_in_eligibility(docket: Docket) -> None:
    change = await docket.executed()
    docket.registry.set_clock(days=3)
    between = docket.registry.today - timedelta(days=1)
    assert not (await docket.eligible(between)).eligible
    await docket.decide(await docket.against_change(change.id))
    assert (await docket.eligible(between)).eligible


async def test_a_suspended_student_is_not_eligible(docket: Docket) -> None:
    prompt_id = await received(docket.registry)
    await decide_prompt(docket.registry, prompt_id, "suspension", reasons="本人申请休学")
    found = await docket.eligible(docket.registry.today)
    assert (found.eligible, found.reasons, found.status.standing) == (False, ("not_attending",), "02")


async def test_an_upheld_appeal_makes_eligible_for_the_year_and_changes_no_standing(docket: Docket) -> None:
    await docket.executed()
    today = docket.registry.today
    appeal = await docket.against_ineligibility(today)
    assert appeal.case.judged_on == today
    with pytest.raises(AlreadyAppealed):
        await docket.against_ineligibility(today)
    await docket.decide(appeal)
    found = await docket.eligible(today)
    assert (found.eligible, found.reasons) == (True, ("not_full_time", "appeal_upheld"))
    assert found.finding is not None
    assert found.finding.statement == "材料已核实"
    assert await docket.registry.status() == ("01", "part_time")
    assert len(await docket.registry.rows(GaokaoFinding)) == 1


async def test_who_decided_the_change_does_not_decide_on_the_eligibility_it_took(docket: Docket) -> None:
    prompt_id = await received(docket.registry)
    await decide_prompt(docket.registry, prompt_id)
    appeal = await docket.against_ineligibility(docket.registry.today)
    first = await docket.reject(appeal)
    second = await docket.carry_up(first)
    with pytest.raises(ConflictOfInterest):
        await docket.decide(second)
    await docket.decide(second, docket.other_province)


async def test_only_missing_eligibility_of_the_coming_gaokao_is_appealed(docket: Docket) -> None:
    today = docket.registry.today
    with pytest.raises(EligibleAlready):
        await docket.against_ineligibility(today)
    for day in (today + timedelta(days=1), today - timedelta(days=400)):
        with pytest.raises(NotThisGaokao):
            await docket.against_ineligibility(day)


async def test_a_day_to_come_has_no_answer_and_another_tenants_student_none_at_all(docket: Docket) -> None:
    with pytest.raises(DayToCome):
        await docket.eligible(docket.registry.today + timedelta(days=1))
    with pytest.raises(NotFound):
        await docket.eligible(docket.registry.today, bureau_account(docket.registry.stage.world.other_city))
