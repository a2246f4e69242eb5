"""The preview of a prompt's decisions shows exactly what the decision then does."""

from typing import Any
from uuid import UUID

import pytest

from backend.aid.preview import preview_effects
from backend.aid.preview_schemas import OutcomePreviewOut, PromptPreviewOut
from backend.aid.rules import AidKind
from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.people.tables import Student
from backend.standing.prompts.decisions import DecidePrompt, decide_prompt
from backend.standing.prompts.errors import PromptDecided
from backend.standing.store.tables import PromptRecord, PromptStep, StandingEntry, StandingOrigin
from tests.support.aid import AidScenario
from tests.support.province import counselor_account, registrar_account
from tests.support.standing.prompts import raise_prompt

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("HN334-4.1d")]


async def preview(aid: AidScenario, prompt_id: UUID, actor: Actor | None = None) -> PromptPreviewOut:
    scenario = aid.standing_scenario
    async with scenario.separate_transaction(actor or scenario.registrar) as session:
        return PromptPreviewOut.of(
            *await preview_effects(session, actor or scenario.registrar, prompt_id, scenario.at)
        )


async def preview_outcome(aid: AidScenario, prompt_id: UUID, outcome: str) -> OutcomePreviewOut:
    found = await preview(aid, prompt_id)
    return next(each for each in found.outcomes if each.outcome.code == outcome)


async def decide(aid: AidScenario, prompt_id: UUID, outcome: str, **more: Any) -> None:
    scenario = aid.standing_scenario
    command = DecidePrompt(prompt_id, outcome, **more)
    async with scenario.separate_transaction(scenario.registrar) as session:
        await decide_prompt(session, scenario.registrar, command, scenario.at)
    await scenario.run_events("AidReleased")


async def load_student(aid: AidScenario) -> Student:
    async with aid.standing_scenario.roll_call_scenario.owner_transaction() as session:
        student: Student = await session.get_one(Student, aid.pupil.id)
    return student


@pytest.mark.parametrize("outcome", ["part_time", "suspension", "withdrawal"])
async def test_the_decision_does_what_the_preview_said(aid: AidScenario, outcome: str) -> None:
    parts = await aid.award()
    await aid.award(AidKind.TUITION_WAIVER)
    await aid.pay(aid.payment_line(parts[0].month, parts[0].fen))
    prompt = await aid.deliver_prompt()
    said = await preview_outcome(aid, prompt.id, outcome)
    assert (said.refused, said.proposed, said.needs_reasons) == (
        None,
        outcome == prompt.proposed,
        outcome != prompt.proposed,
    )
    await decide(aid, prompt.id, outcome, reasons="已逐项核实")
    student, balances = await load_student(aid), await aid.load_account_balances()
    assert (said.after.standing.code, said.after.study_form.code) == (student.standing, student.study_form)
    assert (said.before.standing.code, said.before.study_form.code) == ("01", "full_time")
    assert said.state is not None
    assert said.state.code == "decided"
    assert said.locks
    assert said.aid_fen == balances["withdrawn"] > 0
    assert said.aid_waits_for == []
    assert sum(each.fen for each in said.aid) == said.aid_fen
    grant = [each for each in said.aid if each.kind is AidKind.GRANT]
    assert sum(each.instalments for each in grant) == len(parts) - 1
    assert f"{grant[0].fen_each // 100}." in said.summary_zh


async def test_a_dismissal_changes_neither_standing_nor_aid(aid: AidScenario) -> None:
    await aid.award()
    prompt = await aid.deliver_prompt()
    said = await preview_outcome(aid, prompt.id, "dismiss")
    assert (said.refused, said.locks, said.aid_fen) == (None, False, 0)
    assert said.before == said.after
    assert said.state is not None
    assert said.state.code == "dismissal_pending"
    await decide(aid, prompt.id, "dismiss", found_reason="illness")
    assert (await load_student(aid)).study_form == "full_time"
    assert (await aid.load_account_balances())["withdrawn"] == 0


async def test_the_preview_writes_nothing(aid: AidScenario) -> None:
    await aid.award()
    prompt = await aid.deliver_prompt()
    tables = (PromptRecord, PromptStep, StandingEntry, StandingOrigin)
    before = [len(await aid.standing_scenario.rows(table)) for table in tables]
    await preview(aid, prompt.id)
    assert [len(await aid.standing_scenario.rows(table)) for table in tables] == before


async def test_before_the_receipt_the_preview_says_why_not_yet_and_what_then(aid: AidScenario) -> None:
    await aid.award()
    prompt_id = await raise_prompt(aid.standing_scenario)
    said = await preview_outcome(aid, prompt_id, "part_time")
    assert said.refused is not None
    assert said.refused.code == "prompt_not_delivered"
    assert said.after.study_form.code == "part_time"
    assert said.aid_fen > 0


async def test_the_counselor_of_the_class_sees_the_preview_and_others_do_not(aid: AidScenario) -> None:
    scenario = aid.standing_scenario
    prompt = await aid.deliver_prompt()
    first, second = scenario.school.classes[:2]
    own = counselor_account(scenario.school, first)
    assert (await preview(aid, prompt.id, own)).decider == "registrar"
    for stranger in (
        counselor_account(scenario.school, second),
        registrar_account(scenario.roll_call_scenario.world.sister),
    ):
        with pytest.raises(NotFound):
            await preview(aid, prompt.id, stranger)


async def test_a_decided_prompt_has_no_preview(aid: AidScenario) -> None:
    prompt = await aid.deliver_prompt()
    await decide(aid, prompt.id, "part_time", reasons="情况属实")
    aid.standing_scenario.pass_time(minutes=1)
    with pytest.raises(PromptDecided):
        await preview(aid, prompt.id)
