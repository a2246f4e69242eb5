"""Filing: what may be appealed against, until when, whom it goes to, and that it holds up an execution."""

from datetime import datetime

import pytest

from backend.appeal.errors import AppealClosed
from backend.appeal.rules import CaseState
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
from tests.support.appeal import Docket
from tests.support.standing.prompts import prompt_of, receive

pytestmark = pytest.mark.clause("HN334-4.2")


async def test_an_appeal_goes_past_the_bureau_that_launched_the_check(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    assert appeal.case.unit_id == docket.registry.stage.world.province.id
    assert appeal.case.level == 1
    assert await docket.said(appeal) == [("appellant", "当天在校实训，有考勤记录为证。", False)]


async def test_an_appeal_against_a_check_of_the_province_goes_to_the_schools_bureau(docket: Docket) -> None:
    missed = await docket.registry.check(actor=docket.province)
    appeal = await docket.against_check(missed)
    assert appeal.case.unit_id == docket.registry.stage.world.city.id


@pytest.mark.clause("R12")
@pytest.mark.parametrize("appellant", ["student", "registrar"])
async def test_an_open_appeal_holds_up_the_execution_until_it_is_rejected(
    docket: Docket, appellant: str
) -> None:
    registry = docket.registry
    missed, _ = await registry.misses(2)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    actor = docket.student if appellant == "student" else registry.registrar
    appeal = await docket.against_check(missed, actor)
    await registry.run_events("AppealFiled")
    registry.stage.clock.at = await _received(docket)
    assessment = await registry.recompute()
    assert assessment.prompts[0].blockers == ("open_appeal",)
    assert (await registry.step(prompt_id)).state == PromptState.BLOCKED
    assert await registry.status() == ("01", "full_time")
    await docket.reject(appeal)
    assert (await registry.step(prompt_id)).state == PromptState.EXECUTED
    assert await registry.status() == ("01", "part_time")


async def test_a_withdrawn_appeal_holds_up_nothing_and_cannot_be_filed_again(docket: Docket) -> None:
    registry = docket.registry
    missed, _ = await registry.misses(2)
    await registry.recompute()
    appeal = await docket.against_check(missed)
    registry.stage.clock.at = await _received(docket)
    await registry.recompute()
    withdrawn = await docket.withdraw(appeal)
    assert withdrawn.state is CaseState.WITHDRAWN
    await registry.run_events("AppealWithdrawn")
    assert await registry.status() == ("01", "part_time")
    with pytest.raises(AlreadyAppealed):
        await docket.against_check(missed)
    with pytest.raises(PreviousNotRejected):
        await docket.carry_up(appeal)
    with pytest.raises(AppealClosed):
        await docket.withdraw(appeal)


async def test_only_the_side_that_appealed_withdraws_or_carries_up(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    registrar = docket.registry.registrar
    for act in (docket.withdraw, docket.carry_up):
        with pytest.raises(NotPermitted):
            await act(appeal, registrar)
    classmate = docket.registry.student(docket.registry.school.students[1])
    with pytest.raises(NotFound):
        await docket.withdraw(appeal, classmate)


async def test_student_and_school_may_each_appeal_once(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    await docket.against_check(missed)
    await docket.against_check(missed, docket.registry.registrar)
    for actor in (docket.student, docket.registry.registrar):
        with pytest.raises(AlreadyAppealed):
            await docket.against_check(missed, actor)


async def test_counselors_and_superiors_do_not_appeal(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    for actor in (docket.registry.counselor, docket.city, docket.province):
        with pytest.raises(NotPermitted):
            await docket.against_check(missed, actor)


async def test_a_check_without_a_result_cannot_be_appealed_against(docket: Docket) -> None:
    launched = await docket.registry.stage.launch()
    with pytest.raises(NoResultYet):
        await docket.against_check(launched.roll_call)


async def test_who_was_present_has_nothing_to_appeal(docket: Docket) -> None:
    passed = await docket.registry.check(present=[docket.registry.pupil])
    with pytest.raises(NothingToAppeal):
        await docket.against_check(passed)


async def test_a_change_that_is_nobodys_answers_as_if_absent(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    with pytest.raises(NotFound):
        await docket.against_change(missed.id)


async def test_a_change_that_was_reversed_cannot_be_appealed_against(docket: Docket) -> None:
    change = await docket.executed()
    await docket.decide(await docket.against_change(change.id))
    with pytest.raises(ChangeNotInForce):
        await docket.against_change(change.id, docket.registry.registrar)


async def test_the_sixtieth_day_is_in_time_and_the_next_is_not(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1, present=docket.registry.school.students[1:])
    docket.registry.set_clock(days=59, hour=23, minute=59)
    await docket.against_check(missed)
    docket.registry.pass_time(minutes=1)
    with pytest.raises(AppealTooLate):
        await docket.against_check(missed, docket.registry.registrar)


async def test_a_result_stays_open_to_appeal_while_an_open_prompt_rests_on_it(docket: Docket) -> None:
    missed, _ = await docket.registry.misses(2)
    await docket.registry.recompute()
    docket.registry.set_clock(days=70)
    assert (await docket.against_check(missed)).state is CaseState.OPEN


async def test_a_rejected_appeal_is_carried_up_once_and_then_exhausted(docket: Docket) -> None:
    missed = await docket.registry.check(actor=docket.province)
    first = await docket.against_check(missed)
    with pytest.raises(PreviousNotRejected):
        await docket.carry_up(first)
    await docket.reject(first, docket.city)
    second = await docket.carry_up(first)
    assert (second.case.level, second.filed.previous) == (2, first.filed.id)
    assert second.case.unit_id == docket.registry.stage.world.province.id
    with pytest.raises(AlreadyCarriedUp):
        await docket.carry_up(first)
    await docket.reject(second, docket.other_province)
    with pytest.raises(AppealExhausted):
        await docket.carry_up(second)


async def test_everybody_is_told_of_a_filing(docket: Docket) -> None:
    registry = docket.registry
    province = await docket.authority(registry.stage.world.province)
    registrar = await registry.stage.account("registrar", registry.school)
    counselor = await registry.stage.account("counselor", registry.school, registry.school.classes[0])
    [missed] = await registry.misses(1)
    appeal = await docket.against_check(missed)
    await registry.run_events("AppealFiled")
    assert province.account_id in await docket.told(appeal, "appeal_to_decide")
    assert await docket.told(appeal, "appeal_filed") == {
        registry.pupil.id,
        registrar.account_id,
        counselor.account_id,
    }


@pytest.mark.clause("R7")
async def test_the_term_to_decide_is_fifteen_working_days(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    [due] = await docket.registry.rows(AppealDue)
    assert appeal.due_at == due.due_at
    [case] = await docket.registry.rows(AppealCase)
    assert case.unit_path == docket.registry.stage.world.province.path


async def _received(docket: Docket) -> datetime:
    """The school receives the student's prompt; the end of its term."""
    return await receive(docket.registry, await prompt_of(docket.registry))
