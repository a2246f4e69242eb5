"""Filing an appeal: subjects, deadline, deciding authority, and the effect on automatic executions."""

from datetime import datetime

import pytest

from backend.appeal.errors import AppealClosed
from backend.appeal.rules import AppealState
from backend.appeal.tables import AppealCase, AppealDue
from backend.core.errors import NotFound, NotPermitted
from backend.standing.appeal_errors import (
    AlreadyAppealed,
    AlreadyCarriedUp,
    AppealExhausted,
    AppealTooLate,
    ChangeNotInForce,
    NoResultYet,
    NothingToAppeal,
    PreviousNotRejected,
)
from backend.standing.engine.prompts import PromptState
from tests.support.appeal import AppealScenario
from tests.support.standing.prompts import confirm_receipt, load_prompt_id

pytestmark = pytest.mark.clause("HN334-4.2")


async def test_an_appeal_skips_the_bureau_that_launched_the_check(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    assert appeal.case.unit_id == appeals.standing_scenario.roll_call_scenario.world.province.id
    assert appeal.case.level == 1
    assert await appeals.load_messages(appeal) == [("appellant", "当天在校实训，有考勤记录为证。", False)]


async def test_an_appeal_against_a_check_of_the_province_goes_to_the_schools_bureau(
    appeals: AppealScenario,
) -> None:
    missed = await appeals.standing_scenario.check(actor=appeals.province)
    appeal = await appeals.against_check(missed)
    assert appeal.case.unit_id == appeals.standing_scenario.roll_call_scenario.world.city.id


@pytest.mark.clause("R12")
@pytest.mark.parametrize("appellant", ["student", "registrar"])
async def test_an_open_appeal_blocks_the_execution_until_its_rejection(
    appeals: AppealScenario, appellant: str
) -> None:
    standing_scenario = appeals.standing_scenario
    missed, _ = await standing_scenario.misses(2)
    await standing_scenario.recompute()
    prompt_id = await load_prompt_id(standing_scenario)
    actor = appeals.student if appellant == "student" else standing_scenario.registrar
    appeal = await appeals.against_check(missed, actor)
    await standing_scenario.run_events("AppealFiled")
    standing_scenario.roll_call_scenario.clock.at = await _receive_prompt(appeals)
    assessment = await standing_scenario.recompute()
    assert assessment.prompts[0].blockers == ("open_appeal",)
    assert (await standing_scenario.step(prompt_id)).state == PromptState.BLOCKED
    assert await standing_scenario.status() == ("01", "full_time")
    await appeals.reject(appeal)
    assert (await standing_scenario.step(prompt_id)).state == PromptState.EXECUTED
    assert await standing_scenario.status() == ("01", "part_time")


async def test_a_withdrawn_appeal_does_not_block_and_cannot_be_repeated(appeals: AppealScenario) -> None:
    standing_scenario = appeals.standing_scenario
    missed, _ = await standing_scenario.misses(2)
    await standing_scenario.recompute()
    appeal = await appeals.against_check(missed)
    standing_scenario.roll_call_scenario.clock.at = await _receive_prompt(appeals)
    await standing_scenario.recompute()
    withdrawn = await appeals.withdraw(appeal)
    assert withdrawn.state is AppealState.WITHDRAWN
    await standing_scenario.run_events("AppealWithdrawn")
    assert await standing_scenario.status() == ("01", "part_time")
    with pytest.raises(AlreadyAppealed):
        await appeals.against_check(missed)
    with pytest.raises(PreviousNotRejected):
        await appeals.appeal_to_next_level(appeal)
    with pytest.raises(AppealClosed):
        await appeals.withdraw(appeal)


async def test_only_the_appellant_withdraws_or_takes_it_further(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    registrar = appeals.standing_scenario.registrar
    for act in (appeals.withdraw, appeals.appeal_to_next_level):
        with pytest.raises(NotPermitted):
            await act(appeal, registrar)
    classmate = appeals.standing_scenario.student(appeals.standing_scenario.school.students[1])
    with pytest.raises(NotFound):
        await appeals.withdraw(appeal, classmate)


async def test_student_and_school_may_each_appeal_once(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    await appeals.against_check(missed)
    await appeals.against_check(missed, appeals.standing_scenario.registrar)
    for actor in (appeals.student, appeals.standing_scenario.registrar):
        with pytest.raises(AlreadyAppealed):
            await appeals.against_check(missed, actor)


async def test_counselors_and_superiors_cannot_appeal(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    for actor in (appeals.standing_scenario.counselor, appeals.city, appeals.province):
        with pytest.raises(NotPermitted):
            await appeals.against_check(missed, actor)


async def test_a_check_without_a_result_cannot_be_appealed(appeals: AppealScenario) -> None:
    launched = await appeals.standing_scenario.roll_call_scenario.launch()
    with pytest.raises(NoResultYet):
        await appeals.against_check(launched.roll_call)


async def test_a_present_result_cannot_be_appealed(appeals: AppealScenario) -> None:
    passed = await appeals.standing_scenario.check(present=[appeals.standing_scenario.pupil])
    with pytest.raises(NothingToAppeal):
        await appeals.against_check(passed)


async def test_an_unknown_change_is_not_found(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    with pytest.raises(NotFound):
        await appeals.against_change(missed.id)


async def test_a_reversed_change_cannot_be_appealed(appeals: AppealScenario) -> None:
    change = await appeals.execute_prompt()
    await appeals.decide(await appeals.against_change(change.id))
    with pytest.raises(ChangeNotInForce):
        await appeals.against_change(change.id, appeals.standing_scenario.registrar)


async def test_the_sixtieth_day_is_in_time_and_the_next_is_not(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(
        1, present=appeals.standing_scenario.school.students[1:]
    )
    appeals.standing_scenario.set_clock(days=59, hour=23, minute=59)
    await appeals.against_check(missed)
    appeals.standing_scenario.pass_time(minutes=1)
    with pytest.raises(AppealTooLate):
        await appeals.against_check(missed, appeals.standing_scenario.registrar)


async def test_a_result_can_be_appealed_while_its_prompt_is_open(
    appeals: AppealScenario,
) -> None:
    missed, _ = await appeals.standing_scenario.misses(2)
    await appeals.standing_scenario.recompute()
    appeals.standing_scenario.set_clock(days=70)
    assert (await appeals.against_check(missed)).state is AppealState.OPEN


async def test_a_rejected_appeal_goes_one_level_up_once(appeals: AppealScenario) -> None:
    missed = await appeals.standing_scenario.check(actor=appeals.province)
    first = await appeals.against_check(missed)
    with pytest.raises(PreviousNotRejected):
        await appeals.appeal_to_next_level(first)
    await appeals.reject(first, appeals.city)
    second = await appeals.appeal_to_next_level(first)
    assert (second.case.level, second.filed.previous) == (2, first.filed.id)
    assert second.case.unit_id == appeals.standing_scenario.roll_call_scenario.world.province.id
    with pytest.raises(AlreadyCarriedUp):
        await appeals.appeal_to_next_level(first)
    await appeals.reject(second, appeals.other_province)
    with pytest.raises(AppealExhausted):
        await appeals.appeal_to_next_level(second)


async def test_filing_notifies_all_sides(appeals: AppealScenario) -> None:
    standing_scenario = appeals.standing_scenario
    province = await appeals.create_authority(standing_scenario.roll_call_scenario.world.province)
    registrar = await standing_scenario.roll_call_scenario.account("registrar", standing_scenario.school)
    counselor = await standing_scenario.roll_call_scenario.account(
        "counselor", standing_scenario.school, standing_scenario.school.classes[0]
    )
    [missed] = await standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    await standing_scenario.run_events("AppealFiled")
    assert province.account_id in await appeals.load_recipients(appeal, "appeal_to_decide")
    assert await appeals.load_recipients(appeal, "appeal_filed") == {
        standing_scenario.pupil.id,
        registrar.account_id,
        counselor.account_id,
    }


@pytest.mark.clause("R7")
async def test_the_deadline_is_fifteen_working_days(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    [due] = await appeals.standing_scenario.rows(AppealDue)
    assert appeal.due_at == due.due_at
    [case] = await appeals.standing_scenario.rows(AppealCase)
    assert case.unit_path == appeals.standing_scenario.roll_call_scenario.world.province.path


async def _receive_prompt(appeals: AppealScenario) -> datetime:
    """Confirm the receipt of the student's prompt; returns the deadline."""
    return await confirm_receipt(appeals.standing_scenario, await load_prompt_id(appeals.standing_scenario))
