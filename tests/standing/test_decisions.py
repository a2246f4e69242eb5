"""Prompts are decided by whose turn it is, on complete evidence, once; dismissals are answered; executions taken back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.roll_call.oversight import void_roll_call
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
    dismiss,
    escalate_on_expiry,
    lose_pulses,
    received,
    reverse,
)
from tests.support.standing.prompts import prompt_of, prompted, receive
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("HN334-4.1b")
MICROSECOND = timedelta(microseconds=1)


async def state(registry: Registry, prompt_id: UUID) -> str:
    return (await registry.step(prompt_id)).state


async def expired(registry: Registry) -> tuple[UUID, StandingEntry]:
    """A prompt that was executed when its deadline ended, and the change."""
    prompt_id = await prompted(registry)
    registry.stage.clock.at = await receive(registry, prompt_id)
    await registry.recompute()
    [entry] = await registry.rows(StandingEntry)
    return prompt_id, entry


# --- the registrar ---


async def test_a_confirmed_outcome_changes_the_study_form_and_locks_the_record(registry: Registry) -> None:
    prompt_id = await received(registry)
    made = await decide(registry, prompt_id)
    assert await registry.status() == ("01", "part_time")
    assert await state(registry, prompt_id) == "decided"
    [entry] = await registry.rows(StandingEntry)
    assert (entry.cause, entry.caused_by, entry.outcome) == ("decision", str(made.id), "part_time")
    [standing] = await registry.rows(StudentStanding)
    assert standing.locked_by == entry.id


async def test_another_outcome_with_reasons_is_applied(registry: Registry) -> None:
    prompt_id = await received(registry)
    await decide(registry, prompt_id, "suspension", reasons="已离校务工，家长申请休学")
    assert await registry.status() == ("02", "full_time")


async def test_another_outcome_without_reasons_is_refused(registry: Registry) -> None:
    prompt_id = await received(registry)
    with pytest.raises(ReasonsRequired):
        await decide(registry, prompt_id, "suspension")


async def test_an_outcome_that_the_law_does_not_know_is_refused_with_those_it_knows(
    registry: Registry,
) -> None:
    prompt_id = await received(registry)
    with pytest.raises(UnknownOutcome, match="part_time, suspension, withdrawal"):
        await decide(registry, prompt_id, "expulsion")


async def test_a_decision_is_in_the_audit_with_who_made_it(registry: Registry) -> None:
    prompt_id = await received(registry)
    registrar = registry.registrar
    made = await decide(registry, prompt_id, actor=registrar)
    async with registry.stage.arrange() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.subject_id == str(made.id)))
    assert (entry.action, entry.acting_account) == ("prompt.decision", registrar.account_id)


async def test_a_prompt_that_was_not_received_cannot_be_decided(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    with pytest.raises(PromptNotDelivered):
        await decide(registry, prompt_id)


async def test_a_decided_prompt_is_not_decided_again(registry: Registry) -> None:
    prompt_id = await received(registry)
    await decide(registry, prompt_id)
    with pytest.raises(PromptDecided):
        await decide(registry, prompt_id)


async def test_another_schools_registrar_finds_no_prompt(registry: Registry) -> None:
    prompt_id = await received(registry)
    with pytest.raises(NotFound):
        await decide(registry, prompt_id, actor=registrar_account(registry.stage.world.sister))


async def test_a_counselor_never_decides(registry: Registry) -> None:
    prompt_id = await received(registry)
    with pytest.raises(NotPermitted):
        await decide(registry, prompt_id, actor=registry.counselor)


async def test_the_superior_does_not_decide_in_the_registrars_time(registry: Registry) -> None:
    prompt_id = await received(registry)
    with pytest.raises(ForRegistrarToDecide):
        await decide(registry, prompt_id, actor=registry.bureau)


# --- complete evidence (invariant 7) ---


@pytest.mark.clause("R12")
async def test_evidence_that_is_missing_is_named_and_nothing_is_decided(registry: Registry) -> None:
    [first, _] = await registry.misses(2)
    await lose_pulses(registry, first)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    await receive(registry, prompt_id)
    with pytest.raises(EvidenceIncomplete) as refused:
        await decide(registry, prompt_id)
    assert f"《{first.title}》" in refused.value.sentence("zh")
    assert "可用" in refused.value.sentence("zh")
    assert "availability" in refused.value.sentence("en")
    assert await registry.rows(PromptDecision) == []


async def test_a_notice_that_never_arrived_is_named_and_nothing_is_decided(registry: Registry) -> None:
    await registry.misses(1)
    unnoticed = await registry.check(told=False, title="未送达的核验")
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    await receive(registry, prompt_id)
    with pytest.raises(NoticeUndelivered, match=unnoticed.title):
        await decide(registry, prompt_id)


async def test_incomplete_evidence_does_not_keep_a_prompt_from_being_dismissed(registry: Registry) -> None:
    [first, _] = await registry.misses(2)
    await lose_pulses(registry, first)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    await dismiss(registry, prompt_id)
    assert await state(registry, prompt_id) == "dismissal_pending"


# --- the deadline ---


@pytest.mark.clause("R7")
async def test_the_last_instant_of_the_fifth_working_day_is_in_time(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    registry.stage.clock.at = await receive(registry, prompt_id) - MICROSECOND
    await decide(registry, prompt_id, "suspension", reasons="已离校")
    assert await registry.status() == ("02", "full_time")


@pytest.mark.clause("R12")
async def test_one_instant_after_the_deadline_the_law_has_been_applied_already(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    registry.stage.clock.at = await receive(registry, prompt_id)
    with pytest.raises(PromptExecuted):
        await decide(registry, prompt_id, "suspension", reasons="已离校")
    await registry.recompute()
    [entry] = await registry.rows(StandingEntry)
    assert (entry.cause, entry.outcome, entry.at) == ("expiry", "part_time", registry.at)


async def test_after_an_escalation_the_superior_decides_and_the_school_no_more(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await prompted(registry)
    registry.stage.clock.at = await receive(registry, prompt_id)
    await registry.recompute()
    assert await state(registry, prompt_id) == "escalated"
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
    registry.stage.clock.at = await receive(registry, prompt_id)
    await registry.recompute()
    await dismiss(registry, prompt_id, registry.bureau)
    assert await state(registry, prompt_id) == "dismissed"
    assert await registry.status() == ("01", "full_time")


async def test_a_unit_above_that_is_not_the_superior_decides_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalate_on_expiry(monkeypatch)
    prompt_id = await prompted(registry)
    registry.stage.clock.at = await receive(registry, prompt_id)
    with pytest.raises(NotPermitted):
        await decide(registry, prompt_id, actor=registry.province)
    with pytest.raises(NotFound):
        await decide(registry, prompt_id, actor=bureau_account(registry.stage.world.other_city))


# --- dismissals (reading 10) ---


@pytest.mark.clause("R10")
async def test_an_acknowledged_dismissal_takes_the_misses_out_of_the_count(registry: Registry) -> None:
    prompt_id = await received(registry)
    made = await dismiss(registry, prompt_id)
    assert await state(registry, prompt_id) == "dismissal_pending"
    await answer(registry, made.id)
    assert await state(registry, prompt_id) == "dismissed"
    assessment = await registry.recompute()
    assert [term.misses.cumulative for term in assessment.terms if term.sequence] == [0]
    assert await registry.status() == ("01", "full_time")


@pytest.mark.clause("R10")
async def test_a_refused_dismissal_leaves_the_prompt_running_on(registry: Registry) -> None:
    prompt_id = await received(registry)
    made = await dismiss(registry, prompt_id)
    await answer(registry, made.id, accepted=False)
    assert await state(registry, prompt_id) == "running"
    await decide(registry, prompt_id)
    assert await registry.status() == ("01", "part_time")


@pytest.mark.clause("R12")
async def test_a_dismissal_that_waits_for_its_answer_stops_the_execution(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    due_at = await receive(registry, prompt_id)
    made = await dismiss(registry, prompt_id)
    registry.stage.clock.at = due_at + timedelta(days=2)
    await registry.recompute()
    assert await registry.rows(StandingEntry) == []
    await answer(registry, made.id, accepted=False)
    assert await state(registry, prompt_id) == "executed"


async def test_while_a_dismissal_waits_nothing_else_is_decided(registry: Registry) -> None:
    prompt_id = await received(registry)
    await dismiss(registry, prompt_id)
    with pytest.raises(DismissalPending):
        await decide(registry, prompt_id)


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [(None, ReasonNotInCatalogue), ("overslept", ReasonNotInCatalogue), ("other", ReasonNeedsText)],
)
async def test_a_dismissal_needs_a_reason_of_the_catalogue(
    registry: Registry, reason: str | None, refusal: type[DomainError]
) -> None:
    prompt_id = await received(registry)
    command = DecidePrompt(prompt_id, "dismiss", found_reason=reason)
    async with registry.transaction(registry.registrar) as session:
        with pytest.raises(refusal):
            await decide_prompt(session, registry.registrar, command, registry.at)


async def test_a_dismissal_is_answered_once(registry: Registry) -> None:
    made = await dismiss(registry, await received(registry))
    await answer(registry, made.id)
    with pytest.raises(NoDismissalPending):
        await answer(registry, made.id)


async def test_nobody_answers_their_own_dismissal(registry: Registry) -> None:
    prompt_id, moved = await received(registry), registry.bureau
    registrar = replace(registry.registrar, account_id=moved.account_id)
    made = await dismiss(registry, prompt_id, registrar)
    with pytest.raises(OwnDismissal):
        await answer(registry, made.id, moved)


async def test_the_school_does_not_answer_dismissals(registry: Registry) -> None:
    made = await dismiss(registry, await received(registry))
    with pytest.raises(NotPermitted):
        await answer(registry, made.id, registry.registrar)


async def test_a_dismissed_prompt_is_not_decided_any_more(registry: Registry) -> None:
    prompt_id = await received(registry)
    await answer(registry, (await dismiss(registry, prompt_id)).id)
    with pytest.raises(PromptDismissed):
        await decide(registry, prompt_id)


async def test_a_prompt_whose_basis_is_gone_is_not_decided_any_more(registry: Registry) -> None:
    missed = await registry.misses(2)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    async with registry.transaction(registry.bureau) as session:
        await void_roll_call(session, registry.bureau, missed[0].id, "全市停电", registry.at)
    with pytest.raises(PromptWithdrawn):
        await decide(registry, prompt_id)


# --- two at once ---


async def test_of_two_decisions_at_once_one_takes_effect_and_the_other_is_told_so(registry: Registry) -> None:
    prompt_id = await received(registry)
    asked = [decide(registry, prompt_id, actor=registrar_account(registry.school)) for _ in range(2)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["PromptDecided", "PromptDecision"]
    assert len(await registry.rows(StandingEntry)) == 1


# --- one-step reversal (reading 12) ---


@pytest.mark.clause("R12")
async def test_an_automatic_execution_is_taken_back_in_one_step(registry: Registry) -> None:
    _, entry = await expired(registry)
    assert await registry.status() == ("01", "part_time")
    await reverse(registry, entry.id)
    assert await registry.status() == ("01", "full_time")
    [_, restored] = sorted(await registry.rows(StandingEntry), key=lambda each: each.seq)
    assert (restored.cause, restored.reverses) == ("reversal", entry.id)
    [standing] = await registry.rows(StudentStanding)
    assert standing.locked_by is None


async def test_what_was_taken_back_raises_no_second_prompt(registry: Registry) -> None:
    _, entry = await expired(registry)
    await reverse(registry, entry.id)
    registry.pass_time(days=1)
    assessment = await registry.recompute()
    assert assessment.open_prompts == ()


async def test_an_execution_is_taken_back_once(registry: Registry) -> None:
    _, entry = await expired(registry)
    await reverse(registry, entry.id)
    with pytest.raises(ChangeNotInForce):
        await reverse(registry, entry.id)


async def test_a_persons_decision_is_not_taken_back(registry: Registry) -> None:
    await decide(registry, await received(registry))
    [entry] = await registry.rows(StandingEntry)
    with pytest.raises(ChangeNotAutomatic):
        await reverse(registry, entry.id)


@pytest.mark.parametrize("who", ["registrar", "counselor", "province"])
async def test_only_the_superior_takes_an_execution_back(registry: Registry, who: str) -> None:
    _, entry = await expired(registry)
    with pytest.raises(NotPermitted):
        await reverse(registry, entry.id, getattr(registry, who))


async def test_nobody_takes_back_what_does_not_exist(registry: Registry) -> None:
    with pytest.raises(NotFound):
        await reverse(registry, new_id())
