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
    ChangeNotInForce,
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
from tests.support.standing.prompts import prompt_of, prompted, receive
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("HN334-4.1b")
MICROSECOND = timedelta(microseconds=1)


async def load_prompt_state(registry: Registry, prompt_id: UUID) -> str:
    return (await registry.step(prompt_id)).state


async def execute_prompt(registry: Registry) -> tuple[UUID, StandingEntry]:
    """Raise a prompt and let it be executed at its deadline; returns the prompt and the change."""
    prompt_id = await prompted(registry)
    registry.roll_call_scenario.clock.at = await receive(registry, prompt_id)
    await registry.recompute()
    [entry] = await registry.rows(StandingEntry)
    return prompt_id, entry


# --- the registrar ---


async def test_a_confirmed_outcome_changes_the_study_form_and_locks(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    made = await decide(registry, prompt_id)
    assert await registry.status() == ("01", "part_time")
    assert await load_prompt_state(registry, prompt_id) == "decided"
    [entry] = await registry.rows(StandingEntry)
    assert (entry.cause, entry.caused_by, entry.outcome) == ("decision", str(made.id), "part_time")
    [standing] = await registry.rows(StudentStanding)
    assert standing.locked_by == entry.id


async def test_another_outcome_with_reasons_is_applied(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    await decide(registry, prompt_id, "suspension", reasons="已离校务工，家长申请休学")
    assert await registry.status() == ("02", "full_time")


async def test_another_outcome_without_reasons_is_refused(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    with pytest.raises(ReasonsRequired):
        await decide(registry, prompt_id, "suspension")


async def test_an_unknown_outcome_is_refused_with_the_known_ones(
    registry: Registry,
) -> None:
    prompt_id = await raise_received_prompt(registry)
    with pytest.raises(UnknownOutcome, match="part_time, suspension, withdrawal"):
        await decide(registry, prompt_id, "expulsion")


async def test_a_decision_is_audited_with_its_account(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    registrar = registry.registrar
    made = await decide(registry, prompt_id, actor=registrar)
    async with registry.roll_call_scenario.owner_transaction() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.subject_id == str(made.id)))
    assert (entry.action, entry.acting_account) == ("prompt.decision", registrar.account_id)


async def test_an_undelivered_prompt_cannot_be_decided(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    with pytest.raises(PromptNotDelivered):
        await decide(registry, prompt_id)


async def test_a_decided_prompt_cannot_be_decided_again(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    await decide(registry, prompt_id)
    with pytest.raises(PromptDecided):
        await decide(registry, prompt_id)


async def test_a_registrar_of_another_school_cannot_find_the_prompt(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    with pytest.raises(NotFound):
        await decide(registry, prompt_id, actor=registrar_account(registry.roll_call_scenario.world.sister))


async def test_a_counselor_cannot_decide(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    with pytest.raises(NotPermitted):
        await decide(registry, prompt_id, actor=registry.counselor)


async def test_the_superior_cannot_decide_before_the_deadline(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    with pytest.raises(ForRegistrarToDecide):
        await decide(registry, prompt_id, actor=registry.bureau)


# --- complete evidence (invariant 7) ---


@pytest.mark.clause("R12")
async def test_missing_evidence_is_named_and_prevents_a_decision(registry: Registry) -> None:
    [first, _] = await registry.misses(2)
    await delete_heartbeats(registry, first)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    await receive(registry, prompt_id)
    with pytest.raises(EvidenceIncomplete) as refused:
        await decide(registry, prompt_id)
    assert f"《{first.title}》" in refused.value.sentence("zh")
    assert "可用" in refused.value.sentence("zh")
    assert "availability" in refused.value.sentence("en")
    assert await registry.rows(PromptDecision) == []


async def test_an_undelivered_notice_is_named_and_prevents_a_decision(registry: Registry) -> None:
    await registry.misses(1)
    unnoticed = await registry.check(told=False, title="未送达的核验")
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    await receive(registry, prompt_id)
    with pytest.raises(NoticeUndelivered, match=unnoticed.title):
        await decide(registry, prompt_id)


async def test_a_prompt_with_incomplete_evidence_can_be_dismissed(registry: Registry) -> None:
    [first, _] = await registry.misses(2)
    await delete_heartbeats(registry, first)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    await dismiss(registry, prompt_id)
    assert await load_prompt_state(registry, prompt_id) == "dismissal_pending"


# --- the deadline ---


@pytest.mark.clause("R7")
async def test_the_last_instant_of_the_fifth_working_day_is_in_time(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    registry.roll_call_scenario.clock.at = await receive(registry, prompt_id) - MICROSECOND
    await decide(registry, prompt_id, "suspension", reasons="已离校")
    assert await registry.status() == ("02", "full_time")


@pytest.mark.clause("R12")
async def test_one_instant_after_the_deadline_the_prompt_is_executed(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    registry.roll_call_scenario.clock.at = await receive(registry, prompt_id)
    with pytest.raises(PromptExecuted):
        await decide(registry, prompt_id, "suspension", reasons="已离校")
    await registry.recompute()
    [entry] = await registry.rows(StandingEntry)
    assert (entry.cause, entry.outcome, entry.at) == ("expiry", "part_time", registry.at)


async def test_after_an_escalation_only_the_superior_decides(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await prompted(registry)
    registry.roll_call_scenario.clock.at = await receive(registry, prompt_id)
    await registry.recompute()
    assert await load_prompt_state(registry, prompt_id) == "escalated"
    with pytest.raises(ForSuperiorToDecide):
        await decide(registry, prompt_id)
    made = await decide(registry, prompt_id, actor=registry.bureau)
    assert made.role == "superior"
    assert await registry.status() == ("01", "part_time")


async def test_after_an_escalation_the_superiors_dismissal_needs_no_answer(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await prompted(registry)
    registry.roll_call_scenario.clock.at = await receive(registry, prompt_id)
    await registry.recompute()
    await dismiss(registry, prompt_id, registry.bureau)
    assert await load_prompt_state(registry, prompt_id) == "dismissed"
    assert await registry.status() == ("01", "full_time")


async def test_a_unit_above_the_superior_cannot_decide(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await prompted(registry)
    registry.roll_call_scenario.clock.at = await receive(registry, prompt_id)
    with pytest.raises(NotPermitted):
        await decide(registry, prompt_id, actor=registry.province)
    with pytest.raises(NotFound):
        await decide(registry, prompt_id, actor=bureau_account(registry.roll_call_scenario.world.other_city))


# --- dismissals (reading 10) ---


@pytest.mark.clause("R10")
async def test_an_accepted_dismissal_excludes_the_misses(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    made = await dismiss(registry, prompt_id)
    assert await load_prompt_state(registry, prompt_id) == "dismissal_pending"
    await answer(registry, made.id)
    assert await load_prompt_state(registry, prompt_id) == "dismissed"
    assessment = await registry.recompute()
    assert [term.misses.cumulative for term in assessment.terms if term.sequence] == [0]
    assert await registry.status() == ("01", "full_time")


@pytest.mark.clause("R10")
async def test_a_refused_dismissal_reopens_the_prompt(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    made = await dismiss(registry, prompt_id)
    await answer(registry, made.id, accepted=False)
    assert await load_prompt_state(registry, prompt_id) == "running"
    await decide(registry, prompt_id)
    assert await registry.status() == ("01", "part_time")


@pytest.mark.clause("R12")
async def test_a_pending_dismissal_blocks_the_execution(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    due_at = await receive(registry, prompt_id)
    made = await dismiss(registry, prompt_id)
    registry.roll_call_scenario.clock.at = due_at + timedelta(days=2)
    await registry.recompute()
    assert await registry.rows(StandingEntry) == []
    await answer(registry, made.id, accepted=False)
    assert await load_prompt_state(registry, prompt_id) == "executed"


async def test_a_prompt_with_a_pending_dismissal_cannot_be_decided(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    await dismiss(registry, prompt_id)
    with pytest.raises(DismissalPending):
        await decide(registry, prompt_id)


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [(None, ReasonNotInCatalogue), ("overslept", ReasonNotInCatalogue), ("other", ReasonNeedsText)],
)
async def test_a_dismissal_needs_a_reason_from_the_catalogue(
    registry: Registry, reason: str | None, refusal: type[DomainError]
) -> None:
    prompt_id = await raise_received_prompt(registry)
    command = DecidePrompt(prompt_id, "dismiss", found_reason=reason)
    async with registry.transaction(registry.registrar) as session:
        with pytest.raises(refusal):
            await decide_prompt(session, registry.registrar, command, registry.at)


async def test_a_dismissal_is_answered_only_once(registry: Registry) -> None:
    made = await dismiss(registry, await raise_received_prompt(registry))
    await answer(registry, made.id)
    with pytest.raises(NoDismissalPending):
        await answer(registry, made.id)


async def test_an_account_cannot_answer_its_own_dismissal(registry: Registry) -> None:
    prompt_id, moved = await raise_received_prompt(registry), registry.bureau
    registrar = replace(registry.registrar, account_id=moved.account_id)
    made = await dismiss(registry, prompt_id, registrar)
    with pytest.raises(OwnDismissal):
        await answer(registry, made.id, moved)


async def test_the_school_cannot_answer_dismissals(registry: Registry) -> None:
    made = await dismiss(registry, await raise_received_prompt(registry))
    with pytest.raises(NotPermitted):
        await answer(registry, made.id, registry.registrar)


async def test_a_dismissed_prompt_cannot_be_decided(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    await answer(registry, (await dismiss(registry, prompt_id)).id)
    with pytest.raises(PromptDismissed):
        await decide(registry, prompt_id)


async def test_a_withdrawn_prompt_cannot_be_decided(registry: Registry) -> None:
    missed = await registry.misses(2)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    async with registry.transaction(registry.bureau) as session:
        await void_roll_call(session, registry.bureau, missed[0].id, "全市停电", registry.at)
    with pytest.raises(PromptWithdrawn):
        await decide(registry, prompt_id)


# --- concurrent decisions ---


async def test_one_of_two_concurrent_decisions_is_refused(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    asked = [decide(registry, prompt_id, actor=registrar_account(registry.school)) for _ in range(2)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["PromptDecided", "PromptDecision"]
    assert len(await registry.rows(StandingEntry)) == 1


# --- one-step reversal (reading 12) ---


@pytest.mark.clause("R12")
async def test_an_automatic_execution_is_reversed_in_one_step(registry: Registry) -> None:
    _, entry = await execute_prompt(registry)
    assert await registry.status() == ("01", "part_time")
    await reverse(registry, entry.id)
    assert await registry.status() == ("01", "full_time")
    [_, restored] = sorted(await registry.rows(StandingEntry), key=lambda each: each.seq)
    assert (restored.cause, restored.reverses) == ("reversal", entry.id)
    [standing] = await registry.rows(StudentStanding)
    assert standing.locked_by is None


async def test_a_reversed_execution_raises_no_second_prompt(registry: Registry) -> None:
    _, entry = await execute_prompt(registry)
    await reverse(registry, entry.id)
    registry.pass_time(days=1)
    assessment = await registry.recompute()
    assert assessment.open_prompts == ()


async def test_an_execution_is_reversed_only_once(registry: Registry) -> None:
    _, entry = await execute_prompt(registry)
    await reverse(registry, entry.id)
    with pytest.raises(ChangeNotInForce):
        await reverse(registry, entry.id)


async def test_a_persons_decision_cannot_be_reversed(registry: Registry) -> None:
    await decide(registry, await raise_received_prompt(registry))
    [entry] = await registry.rows(StandingEntry)
    with pytest.raises(ChangeNotAutomatic):
        await reverse(registry, entry.id)


@pytest.mark.parametrize("who", ["registrar", "counselor", "province"])
async def test_only_the_superior_can_reverse_an_execution(registry: Registry, who: str) -> None:
    _, entry = await execute_prompt(registry)
    with pytest.raises(NotPermitted):
        await reverse(registry, entry.id, getattr(registry, who))


async def test_reversing_an_unknown_entry_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound):
        await reverse(registry, new_id())
