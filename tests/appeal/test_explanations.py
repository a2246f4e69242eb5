"""Explanations of appeals: subject, deciding unit, deadline, result and next steps."""

from datetime import timedelta

import pytest

from backend.appeal.explanations import load_appeal_explanation, load_explanation
from backend.appeal.queries import AppealView
from backend.core.actor import Actor
from backend.core.bilingual import format_end
from backend.core.errors import NotFound, NotPermitted
from backend.standing.explanations.model import Explanation
from tests.support.appeal import AppealScenario
from tests.support.province import student_account

pytestmark = pytest.mark.clause("HN334-4.2")


async def explain_as(appeals: AppealScenario, actor: Actor, appeal: AppealView) -> Explanation:
    async with appeals.standing_scenario.transaction(actor) as session:
        return await load_appeal_explanation(session, actor, appeal.filed.id)


async def file_appeal_against_miss(appeals: AppealScenario) -> AppealView:
    [missed] = await appeals.standing_scenario.misses(1)
    return await appeals.against_check(missed)


def next_steps_text(explanation: Explanation) -> str:
    return "\n".join(words.zh for words in explanation.next_steps)


async def test_an_open_appeal_names_check_deciding_unit_and_deadline(
    appeals: AppealScenario,
) -> None:
    appeal = await file_appeal_against_miss(appeals)
    explanation = await explain_as(appeals, appeals.student, appeal)
    assert appeal.unit_name in explanation.paragraphs[0].zh
    assert appeal.due_at is not None
    assert format_end(appeal.due_at) in next_steps_text(explanation)
    [fact] = explanation.facts
    assert "未按时核验" in fact.words.zh
    assert explanation.references[0].clause == "HN334-4.2"


async def test_an_upheld_appeal_says_that_misses_are_recounted(appeals: AppealScenario) -> None:
    appeal = await file_appeal_against_miss(appeals)
    appeals.standing_scenario.pass_time(hours=1)
    await appeals.decide(appeal, finding="excused")
    explanation = await explain_as(appeals, appeals.student, appeal)
    assert "材料已核实" in explanation.paragraphs[1].zh
    assert "次数重新计算" in next_steps_text(explanation)


async def test_a_rejected_appeal_names_the_next_level_deadline(
    appeals: AppealScenario,
) -> None:
    appeal = await file_appeal_against_miss(appeals)
    appeals.standing_scenario.pass_time(hours=1)
    await appeals.reject(appeal)
    last = (appeals.standing_scenario.today + timedelta(days=60)).isoformat()
    assert f"到 {last} 为止" in next_steps_text(await explain_as(appeals, appeals.student, appeal))


async def test_counselors_and_other_students_cannot_read_the_appeal(
    appeals: AppealScenario,
) -> None:
    appeal = await file_appeal_against_miss(appeals)
    with pytest.raises(NotPermitted):
        await explain_as(appeals, appeals.standing_scenario.counselor, appeal)
    school = appeals.standing_scenario.school
    with pytest.raises(NotFound):
        await explain_as(appeals, student_account(school, school.students[1]), appeal)


async def test_one_function_explains_every_kind(appeals: AppealScenario) -> None:
    appeal = await file_appeal_against_miss(appeals)
    async with appeals.standing_scenario.transaction(appeals.student) as session:
        one = await load_explanation(session, appeals.student, "appeal", appeal.filed.id)
    assert one == await explain_as(appeals, appeals.student, appeal)
