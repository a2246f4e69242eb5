"""Decisions on prompts, answers to dismissals, and reversals of automatic executions."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.roll_call.voiding import void_roll_call
from backend.standing.prompts.decisions import DecidePrompt, decide_prompt
from backend.standing.prompts.errors import (
    ChangeNotAutomatic,
    DismissalPending,
    EvidenceIncomplete,
    ForRegistrarToDecide,
    ForSuperiorToDecide,
    NoDismissalPending,
    NoticeUndelivered,
    OwnDismissal,
    PromptDecided,
    PromptDismissed,
    PromptExecuted,
    PromptNotDelivered,
    PromptWithdrawn,
    ReasonNeedsText,
    ReasonNotInCatalogue,
    ReasonsRequired,
    ReversalTargetNotInForce,
    UnknownOutcome,
)
from backend.standing.store.tables import PromptDecision, StandingEntry, StudentStanding
from tests.support.province import bureau_account, registrar_account
from tests.support.standing.prompt_actions import (
    answer,
    decide,
    delete_heartbeats,
    dismiss,
    escalate_on_expiry,
    raise_received_prompt,
    reverse,
)
from tests.support.standing.prompts import confirm_receipt, load_prompt_id, raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")
MICROSECOND = timedelta(microseconds=1)


async def load_prompt_state(scenario: StandingScenario, prompt_id: UUID) -> str:
    return (await scenario.step(prompt_id)).state


async def execute_prompt(scenario: StandingScenario) -> tuple[UUID, StandingEntry]:
    """Raise a prompt and let it be executed at its deadline; returns the prompt and the change."""
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await scenario.recompute()
    [entry] = await scenario.rows(StandingEntry)
    return prompt_id, entry


# --- the registrar ---


async def test_a_confirmed_outcome_changes_the_study_form_and_locks(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    made = await decide(scenario, prompt_id)
    assert await scenario.status() == ("01", "part_time")
    assert await load_prompt_state(scenario, prompt_id) == "decided"
    [entry] = await scenario.rows(StandingEntry)
    assert (entry.cause, entry.caused_by, entry.outcome) == ("decision", str(made.id), "part_time")
    [standing] = await scenario.rows(StudentStanding)
    assert standing.locked_by == entry.id


async def test_another_outcome_with_reasons_is_applied(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    await decide(scenario, prompt_id, "suspension", reasons="已离校务工，家长申请休学")
    assert await scenario.status() == ("02", "full_time")


async def test_another_outcome_without_reasons_is_refused(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    with pytest.raises(ReasonsRequired):
        await decide(scenario, prompt_id, "suspension")


async def test_an_unknown_outcome_is_refused_with_the_known_ones(
    scenario: StandingScenario,
) -> None:
    prompt_id = await raise_received_prompt(scenario)
    with pytest.raises(UnknownOutcome, match="part_time, suspension, withdrawal"):
        await decide(scenario, prompt_id, "expulsion")


async def test_a_decision_is_audited_with_its_account(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    registrar = scenario.registrar
    made = await decide(scenario, prompt_id, actor=registrar)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.subject_id == str(made.id)))
    assert (entry.action, entry.acting_account) == ("prompt.decision", registrar.account_id)


async def test_an_undelivered_prompt_cannot_be_decided(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    with pytest.raises(PromptNotDelivered):
        await decide(scenario, prompt_id)


async def test_a_decided_prompt_cannot_be_decided_again(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    await decide(scenario, prompt_id)
    with pytest.raises(PromptDecided):
        await decide(scenario, prompt_id)


async def test_a_registrar_of_another_school_cannot_find_the_prompt(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    with pytest.raises(NotFound):
        await decide(scenario, prompt_id, actor=registrar_account(scenario.roll_call_scenario.world.sister))


async def test_a_counselor_cannot_decide(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    with pytest.raises(NotPermitted):
        await decide(scenario, prompt_id, actor=scenario.counselor)


async def test_the_superior_cannot_decide_before_the_deadline(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    with pytest.raises(ForRegistrarToDecide):
        await decide(scenario, prompt_id, actor=scenario.bureau)


# --- complete evidence (invariant 7) ---


@pytest.mark.clause("R12")
async def test_missing_evidence_is_named_and_prevents_a_decision(scenario: StandingScenario) -> None:
    [first, _] = await scenario.misses(2)
    await delete_heartbeats(scenario, first)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    await confirm_receipt(scenario, prompt_id)
    with pytest.raises(EvidenceIncomplete) as refused:
        await decide(scenario, prompt_id)
    assert f"《{first.title}》" in refused.value.sentence("zh")
    assert "可用" in refused.value.sentence("zh")
    assert "availability" in refused.value.sentence("en")
    assert await scenario.rows(PromptDecision) == []


async def test_an_undelivered_notice_is_named_and_prevents_a_decision(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    unnoticed = await scenario.check(announced=False, title="未送达的核验")
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    await confirm_receipt(scenario, prompt_id)
    with pytest.raises(NoticeUndelivered, match=unnoticed.title):
        await decide(scenario, prompt_id)


async def test_a_prompt_with_incomplete_evidence_can_be_dismissed(scenario: StandingScenario) -> None:
    [first, _] = await scenario.misses(2)
    await delete_heartbeats(scenario, first)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    await dismiss(scenario, prompt_id)
    assert await load_prompt_state(scenario, prompt_id) == "dismissal_pending"


# --- the deadline ---


@pytest.mark.clause("R7")
async def test_the_last_instant_of_the_fifth_working_day_is_in_time(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id) - MICROSECOND
    await decide(scenario, prompt_id, "suspension", reasons="已离校")
    assert await scenario.status() == ("02", "full_time")


@pytest.mark.clause("R12")
async def test_one_instant_after_the_deadline_the_prompt_is_executed(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    with pytest.raises(PromptExecuted):
        await decide(scenario, prompt_id, "suspension", reasons="已离校")
    await scenario.recompute()
    [entry] = await scenario.rows(StandingEntry)
    assert (entry.cause, entry.outcome, entry.at) == ("expiry", "part_time", scenario.at)


async def test_after_an_escalation_only_the_superior_decides(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await scenario.recompute()
    assert await load_prompt_state(scenario, prompt_id) == "escalated"
    with pytest.raises(ForSuperiorToDecide):
        await decide(scenario, prompt_id)
    made = await decide(scenario, prompt_id, actor=scenario.bureau)
    assert made.role == "superior"
    assert await scenario.status() == ("01", "part_time")


async def test_superiors_decision_at_the_deadlines_own_instant_has_effect(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a recompute in between: the expiry and the decision are recorded at the same instant."""
    escalate_on_expiry(monkeypatch)
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = deadline = await confirm_receipt(scenario, prompt_id)
    made = await decide(scenario, prompt_id, actor=scenario.bureau)
    assert (made.role, made.at) == ("superior", deadline)
    assert await load_prompt_state(scenario, prompt_id) == "decided"
    assert await scenario.status() == ("01", "part_time")


async def test_after_an_escalation_the_superiors_dismissal_needs_no_answer(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    await scenario.recompute()
    await dismiss(scenario, prompt_id, scenario.bureau)
    assert await load_prompt_state(scenario, prompt_id) == "dismissed"
    assert await scenario.status() == ("01", "full_time")


async def test_a_unit_above_the_superior_cannot_decide(
    scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id)
    with pytest.raises(NotPermitted):
        await decide(scenario, prompt_id, actor=scenario.province)
    with pytest.raises(NotFound):
        await decide(scenario, prompt_id, actor=bureau_account(scenario.roll_call_scenario.world.other_city))


# --- dismissals (reading 10) ---


@pytest.mark.clause("R10")
async def test_an_accepted_dismissal_excludes_the_misses(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    made = await dismiss(scenario, prompt_id)
    assert await load_prompt_state(scenario, prompt_id) == "dismissal_pending"
    await answer(scenario, made.id)
    assert await load_prompt_state(scenario, prompt_id) == "dismissed"
    assessment = await scenario.recompute()
    assert [term.misses.cumulative for term in assessment.terms if term.sequence] == [0]
    assert await scenario.status() == ("01", "full_time")


@pytest.mark.clause("R10")
async def test_a_refused_dismissal_reopens_the_prompt(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    made = await dismiss(scenario, prompt_id)
    await answer(scenario, made.id, accepted=False)
    assert await load_prompt_state(scenario, prompt_id) == "running"
    await decide(scenario, prompt_id)
    assert await scenario.status() == ("01", "part_time")


@pytest.mark.clause("R12")
async def test_a_pending_dismissal_blocks_the_execution(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    due_at = await confirm_receipt(scenario, prompt_id)
    made = await dismiss(scenario, prompt_id)
    scenario.roll_call_scenario.clock.at = due_at + timedelta(days=2)
    await scenario.recompute()
    assert await scenario.rows(StandingEntry) == []
    await answer(scenario, made.id, accepted=False)
    assert await load_prompt_state(scenario, prompt_id) == "running"


async def test_a_prompt_with_a_pending_dismissal_cannot_be_decided(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    await dismiss(scenario, prompt_id)
    with pytest.raises(DismissalPending):
        await decide(scenario, prompt_id)


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [(None, ReasonNotInCatalogue), ("overslept", ReasonNotInCatalogue), ("other", ReasonNeedsText)],
)
async def test_a_dismissal_needs_a_reason_from_the_catalogue(
    scenario: StandingScenario, reason: str | None, refusal: type[DomainError]
) -> None:
    prompt_id = await raise_received_prompt(scenario)
    command = DecidePrompt(prompt_id, "dismiss", found_reason=reason)
    async with scenario.transaction(scenario.registrar) as session:
        with pytest.raises(refusal):
            await decide_prompt(session, scenario.registrar, command, scenario.at)


@pytest.mark.clause("R22")
async def test_refusal_after_the_deadline_leaves_two_working_days(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    made = await dismiss(scenario, prompt_id)
    due_at = (await scenario.step(prompt_id)).due_at
    assert due_at is not None
    scenario.roll_call_scenario.clock.at = due_at + timedelta(hours=9)
    await answer(scenario, made.id, accepted=False)
    step = await scenario.step(prompt_id)
    assert step.state == "running"
    assert step.due_at is not None
    assert step.due_at >= due_at + timedelta(days=3)
    await decide(scenario, prompt_id, "suspension", reasons="病休")
    assert (await scenario.step(prompt_id)).state == "decided"


@pytest.mark.clause("R22")
async def test_extended_deadline_executes_at_its_end(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    made = await dismiss(scenario, prompt_id)
    due_at = (await scenario.step(prompt_id)).due_at
    assert due_at is not None
    scenario.roll_call_scenario.clock.at = due_at + timedelta(hours=9)
    await answer(scenario, made.id, accepted=False)
    extended = (await scenario.step(prompt_id)).due_at
    assert extended is not None
    scenario.roll_call_scenario.clock.at = extended
    await scenario.recompute()
    assert (await scenario.step(prompt_id)).state == "executed"


async def test_a_dismissal_is_answered_only_once(scenario: StandingScenario) -> None:
    made = await dismiss(scenario, await raise_received_prompt(scenario))
    await answer(scenario, made.id)
    with pytest.raises(NoDismissalPending):
        await answer(scenario, made.id)


async def test_an_account_cannot_answer_its_own_dismissal(scenario: StandingScenario) -> None:
    prompt_id, moved = await raise_received_prompt(scenario), scenario.bureau
    registrar = replace(scenario.registrar, account_id=moved.account_id)
    made = await dismiss(scenario, prompt_id, registrar)
    with pytest.raises(OwnDismissal):
        await answer(scenario, made.id, moved)


async def test_the_school_cannot_answer_dismissals(scenario: StandingScenario) -> None:
    made = await dismiss(scenario, await raise_received_prompt(scenario))
    with pytest.raises(NotPermitted):
        await answer(scenario, made.id, scenario.registrar)


async def test_a_dismissed_prompt_cannot_be_decided(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    await answer(scenario, (await dismiss(scenario, prompt_id)).id)
    with pytest.raises(PromptDismissed):
        await decide(scenario, prompt_id)


async def test_a_withdrawn_prompt_cannot_be_decided(scenario: StandingScenario) -> None:
    missed = await scenario.misses(2)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    async with scenario.transaction(scenario.bureau) as session:
        await void_roll_call(session, scenario.bureau, missed[0].id, "全市停电", scenario.at)
    with pytest.raises(PromptWithdrawn):
        await decide(scenario, prompt_id)


# --- concurrent decisions ---


async def test_one_of_two_concurrent_decisions_is_refused(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    asked = [decide(scenario, prompt_id, actor=registrar_account(scenario.school)) for _ in range(2)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["PromptDecided", "PromptDecision"]
    assert len(await scenario.rows(StandingEntry)) == 1


# --- one-step reversal (reading 12) ---


@pytest.mark.clause("R12")
async def test_an_automatic_execution_is_reversed_in_one_step(scenario: StandingScenario) -> None:
    _, entry = await execute_prompt(scenario)
    assert await scenario.status() == ("01", "part_time")
    await reverse(scenario, entry.id)
    assert await scenario.status() == ("01", "full_time")
    [_, restored] = sorted(await scenario.rows(StandingEntry), key=lambda each: each.seq)
    assert (restored.cause, restored.reverses) == ("reversal", entry.id)
    [standing] = await scenario.rows(StudentStanding)
    assert standing.locked_by is None


async def test_a_reversed_execution_raises_no_second_prompt(scenario: StandingScenario) -> None:
    _, entry = await execute_prompt(scenario)
    await reverse(scenario, entry.id)
    scenario.pass_time(days=1)
    assessment = await scenario.recompute()
    assert assessment.open_prompts == ()


async def test_an_execution_is_reversed_only_once(scenario: StandingScenario) -> None:
    _, entry = await execute_prompt(scenario)
    await reverse(scenario, entry.id)
    with pytest.raises(ReversalTargetNotInForce):
        await reverse(scenario, entry.id)


async def test_a_persons_decision_cannot_be_reversed(scenario: StandingScenario) -> None:
    await decide(scenario, await raise_received_prompt(scenario))
    [entry] = await scenario.rows(StandingEntry)
    with pytest.raises(ChangeNotAutomatic):
        await reverse(scenario, entry.id)


@pytest.mark.parametrize("who", ["registrar", "counselor", "province"])
async def test_only_the_superior_can_reverse_an_execution(scenario: StandingScenario, who: str) -> None:
    _, entry = await execute_prompt(scenario)
    with pytest.raises(NotPermitted):
        await reverse(scenario, entry.id, getattr(scenario, who))


async def test_reversing_an_unknown_entry_is_not_found(scenario: StandingScenario) -> None:
    with pytest.raises(NotFound):
        await reverse(scenario, new_id())
