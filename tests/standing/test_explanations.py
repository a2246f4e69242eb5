"""Explanations of stored prompts, changes and warnings: clause, figures, facts and next steps."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.actor import Actor
from backend.core.bilingual import format_end, format_instant
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound
from backend.leave.kinds import LeaveKind
from backend.leave.service import DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.standing.explanations.model import Explanation
from backend.standing.explanations.service import (
    load_entry_explanation,
    load_prompt_explanation,
    load_warning_explanation,
)
from backend.standing.store import tables
from tests.support.province import counselor_account, registrar_account, student_account
from tests.support.standing.explanations import all_sentences, chinese_text, find_codes
from tests.support.standing.replay import execute_by_expiry
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("R13")


def get_student(scenario: StandingScenario) -> Actor:
    return student_account(scenario.school, scenario.pupil)


async def explain_stored_prompt(scenario: StandingScenario, actor: Actor) -> Explanation:
    [prompt] = await scenario.rows(tables.PromptRecord)
    async with scenario.transaction(actor) as session:
        return await load_prompt_explanation(session, actor, prompt.id)


@pytest.mark.clause("HN334-4.1b")
@pytest.mark.parametrize("who", ["student", "counselor", "registrar", "bureau", "province"])
async def test_a_prompt_explanation_has_checks_clause_and_figures(
    scenario: StandingScenario, who: str
) -> None:
    missed = await scenario.misses(2)
    await scenario.recompute()
    actor = get_student(scenario) if who == "student" else getattr(scenario, who)
    explanation = await explain_stored_prompt(scenario, actor)
    assert [fact.key for fact in explanation.facts] == [f"check:{each.id}" for each in missed]
    for fact, roll_call in zip(explanation.facts, missed, strict=True):
        assert roll_call.title in fact.words.zh
        assert format_instant(roll_call.opens_at) in fact.words.zh
        assert "未按时核验" in fact.words.zh
        assert "通知在" in fact.words.zh
    assert explanation.references[0].clause == "HN334-4.1b"
    assert explanation.references[0].instrument.zh.startswith("教办职成〔2022〕334号")
    figures = {figure.parameter: figure for figure in explanation.figures}
    assert figures["misses.consecutive"].value.zh.startswith("2 ")
    assert figures["misses.consecutive"].since.isoformat() == "2022-10-09"
    assert "2 次没有按时完成" in explanation.paragraphs[0].zh


async def explain_stored_entry(scenario: StandingScenario, actor: Actor) -> Explanation:
    [entry] = await scenario.rows(tables.StandingEntry)
    async with scenario.transaction(actor) as session:
        return await load_entry_explanation(session, actor, entry.id)


@pytest.mark.clause("R12")
async def test_an_execution_explanation_has_policy_version_and_appeal(
    scenario: StandingScenario,
) -> None:
    await execute_by_expiry(scenario)
    [entry] = await scenario.rows(tables.StandingEntry)
    explanation = await explain_stored_entry(scenario, get_student(scenario))
    assert "全日制" in explanation.paragraphs[0].zh
    assert "非全日制" in explanation.paragraphs[0].zh
    assert format_end(entry.at) in explanation.paragraphs[0].zh
    assert entry.policy_version[:12] in chinese_text(explanation)
    assert "个人信息保护法第二十四条" in chinese_text(explanation)
    last = (entry.recorded_at + timedelta(days=60)).astimezone(LEGAL_ZONE).date().isoformat()
    assert any("申诉" in words.zh and last in words.zh for words in explanation.next_steps)
    assert {reference.clause for reference in explanation.references} >= {"HN334-4.1b", "HN334-4.1c", "R12"}
    assert len(explanation.facts) == 2


async def test_the_superior_reads_that_an_execution_can_be_reversed(scenario: StandingScenario) -> None:
    await execute_by_expiry(scenario)
    explanation = await explain_stored_entry(scenario, scenario.bureau)
    assert any("撤回这次自动执行" in words.zh for words in explanation.next_steps)


@pytest.mark.clause("HN334-4.2")
async def test_a_reversal_is_explained_on_both_entries(scenario: StandingScenario) -> None:
    entry_id = await execute_by_expiry(scenario)
    pupil = scenario.pupil
    async with scenario.roll_call_scenario.owner_transaction() as session:
        session.add(
            tables.ChangeReversed(
                id=UUID(int=entry_id.int ^ 1),
                change_id=entry_id,
                school_id=pupil.school_id,
                student_id=pupil.id,
                reasons="当日停电",
                reversed_by=scenario.bureau.account_id,
                at=scenario.at,
            )
        )
    scenario.pass_time(minutes=1)
    await scenario.recompute()
    actor = get_student(scenario)
    async with scenario.transaction(actor) as session:
        undone = await load_entry_explanation(session, actor, entry_id)
        [reversal] = await session.scalars(
            select(tables.StandingEntry.id).where(tables.StandingEntry.reverses == entry_id)
        )
        explanation = await load_entry_explanation(session, actor, reversal)
    assert "已经恢复" in chinese_text(undone)
    assert "当日停电" in chinese_text(explanation)
    assert [fact.key.partition(":")[0] for fact in explanation.facts] == ["change", "reversal"]
    assert not find_codes(*all_sentences(explanation), *all_sentences(undone))


async def test_a_warning_explanation_names_its_miss(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    await scenario.recompute()
    [warning] = await scenario.rows(tables.StandingWarningRecord)
    actor = get_student(scenario)
    async with scenario.transaction(actor) as session:
        explanation = await load_warning_explanation(session, actor, warning.id)
    assert [fact.key for fact in explanation.facts] == [f"check:{missed.id}"]
    assert explanation.references[0].clause == "HN334-4.1b"
    assert any("下一次核验" in words.zh for words in explanation.next_steps)


@pytest.mark.clause("HN334-2.3")
async def test_explanations_of_other_students_are_not_found(scenario: StandingScenario) -> None:
    await scenario.misses(2)
    await scenario.recompute()
    [prompt] = await scenario.rows(tables.PromptRecord)
    sister = scenario.roll_call_scenario.world.sister
    strangers = [
        registrar_account(sister),
        student_account(scenario.school, scenario.school.students[1]),
        counselor_account(scenario.school, scenario.school.classes[1]),
        student_account(sister, sister.students[0]),
    ]
    for actor in strangers:
        async with scenario.transaction(actor) as session:
            with pytest.raises(NotFound):
                await load_prompt_explanation(session, actor, prompt.id)


async def approve_leave_days(scenario: StandingScenario, days: int) -> UUID:
    """Approve leave for the given number of days from today."""
    actor, app_context = get_student(scenario), scenario.app_context
    last = scenario.today + timedelta(days=days - 1)
    command = RequestLeave(
        LeaveKind.SICK, HalfDay(scenario.today, "morning"), HalfDay(last, "afternoon"), "骨折住院"
    )
    async with scenario.transaction(actor) as session:
        leave = await request_leave(session, actor, app_context.keys, command, scenario.at)
    scenario.pass_time(minutes=1)
    async with scenario.transaction(scenario.registrar) as session:
        await decide_leave(
            session, scenario.registrar, DecideLeave(leave.request.id, "approved"), scenario.at
        )
    return leave.request.id


@pytest.mark.clause("HN334-3.5b")
async def test_a_leave_explanation_shows_days_but_no_reason(
    scenario: StandingScenario,
) -> None:
    begun = scenario.today.isoformat()
    leave_id = await approve_leave_days(scenario, 20)
    scenario.pass_time(days=18)
    await scenario.recompute()
    explanation = await explain_stored_prompt(scenario, scenario.province)
    assert [fact.key for fact in explanation.facts] == [f"leave:{leave_id}"]
    assert begun in explanation.facts[0].words.zh
    assert "第 16 天" in explanation.paragraphs[0].zh
    assert explanation.references[0].clause == "HN334-3.5b"
    assert "骨折" not in chinese_text(explanation)
    assert "sick" not in "".join(text for words in all_sentences(explanation) for text in words)
