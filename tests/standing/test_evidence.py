"""A prompt with incomplete evidence: the superior completes it or closes it; late leave waits for an answer."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.leave.kinds import LeaveKind
from backend.leave.service import DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeEntry, RollCall
from backend.standing.attendance import RecordAttendance, record_attendance
from backend.standing.prompts import evidence
from backend.standing.prompts.deliveries import RecordDelivery, record_delivery
from backend.standing.prompts.errors import (
    EvidenceAlreadyComplete,
    EvidenceNotMissing,
    NoLateLeave,
    NoticeTimeInvalid,
    PromptWithdrawn,
)
from backend.standing.prompts.queries import load_prompt_detail
from backend.standing.store.tables import PromptRecord
from tests.support.standing.prompts import confirm_receipt, load_prompt_id
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R12")]


async def raise_unnoticed_prompt(scenario: StandingScenario) -> tuple[UUID, RollCall]:
    """A received prompt on two missed checks; no receipt shows that the notice of the second arrived."""
    await scenario.check()
    scenario.set_clock(days=1)
    unnoticed = await scenario.check(announced=False)
    scenario.set_clock(days=1)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    await confirm_receipt(scenario, prompt_id)
    return prompt_id, unnoticed


async def record_notice(
    scenario: StandingScenario,
    prompt_id: UUID,
    roll_call_id: UUID,
    received_at: datetime,
    actor: Actor | None = None,
) -> None:
    actor = actor or scenario.bureau
    command = evidence.RecordNoticeDelivery(prompt_id, roll_call_id, "in_person", received_at, "通知签收单")
    async with scenario.transaction(actor) as session:
        await evidence.record_notice_delivery(session, actor, command, scenario.at)


async def close(scenario: StandingScenario, prompt_id: UUID, actor: Actor | None = None) -> None:
    actor = actor or scenario.bureau
    async with scenario.transaction(actor) as session:
        await evidence.close_prompt(
            session, actor, evidence.ClosePrompt(prompt_id, "无送达回证"), scenario.at
        )


async def expire(scenario: StandingScenario) -> None:
    scenario.set_clock(days=30)
    await scenario.recompute()


async def test_a_record_of_delivery_completes_the_evidence(scenario: StandingScenario) -> None:
    prompt_id, unnoticed = await raise_unnoticed_prompt(scenario)
    await expire(scenario)
    assert (await scenario.step(prompt_id)).state == "blocked"
    await record_notice(scenario, prompt_id, unnoticed.id, unnoticed.opens_at)
    assert (await scenario.step(prompt_id)).state == "executed"
    assert await scenario.status() == ("01", "part_time")


async def test_a_delivery_with_too_little_time_left_proves_nothing(scenario: StandingScenario) -> None:
    prompt_id, unnoticed = await raise_unnoticed_prompt(scenario)
    late = unnoticed.opens_at + timedelta(minutes=1)
    with pytest.raises(NoticeTimeInvalid):
        await record_notice(scenario, prompt_id, unnoticed.id, late)


async def test_a_delivery_before_the_notice_is_refused(scenario: StandingScenario) -> None:
    prompt_id, unnoticed = await raise_unnoticed_prompt(scenario)
    with pytest.raises(NoticeTimeInvalid):
        await record_notice(scenario, prompt_id, unnoticed.id, unnoticed.notify_at - timedelta(days=1))


async def test_evidence_that_is_not_missing_is_refused(scenario: StandingScenario) -> None:
    prompt_id, unnoticed = await raise_unnoticed_prompt(scenario)
    await record_notice(scenario, prompt_id, unnoticed.id, unnoticed.opens_at)
    with pytest.raises(EvidenceNotMissing):
        await record_notice(scenario, prompt_id, unnoticed.id, unnoticed.opens_at)
    with pytest.raises(EvidenceAlreadyComplete):
        await close(scenario, prompt_id)


async def test_only_the_superior_completes_or_closes(scenario: StandingScenario) -> None:
    prompt_id, unnoticed = await raise_unnoticed_prompt(scenario)
    for actor in (scenario.registrar, scenario.counselor, scenario.province):
        with pytest.raises(NotPermitted):
            await record_notice(scenario, prompt_id, unnoticed.id, unnoticed.opens_at, actor)
        with pytest.raises(NotPermitted):
            await close(scenario, prompt_id, actor)


async def test_a_check_outside_the_evidence_answers_as_absent(scenario: StandingScenario) -> None:
    prompt_id, unnoticed = await raise_unnoticed_prompt(scenario)
    with pytest.raises(NotFound):
        await record_notice(scenario, prompt_id, prompt_id, unnoticed.opens_at)


async def test_a_closed_prompt_is_withdrawn_and_a_further_miss_raises_another(
    scenario: StandingScenario,
) -> None:
    prompt_id, unnoticed = await raise_unnoticed_prompt(scenario)
    await close(scenario, prompt_id)
    step = await scenario.step(prompt_id)
    assert (step.state, step.closed_by) == ("withdrawn", "evidence_incomplete")
    async with scenario.transaction(scenario.bureau) as session:
        detail = await load_prompt_detail(session, scenario.bureau, prompt_id, scenario.at)
    assert detail.closed is not None
    with pytest.raises(PromptWithdrawn):
        await close(scenario, prompt_id)
    await scenario.check()
    await scenario.recompute()
    [other] = [row for row in await scenario.rows(PromptRecord) if row.id != prompt_id]
    assert f"check:{unnoticed.id}" not in other.evidence
    assert len(other.evidence) == 2


# --- determined checks ---


async def determine(
    scenario: StandingScenario, prompt_id: UUID, roll_call_id: UUID, finding: evidence.Finding
) -> None:
    command = evidence.DetermineCheck(prompt_id, roll_call_id, finding, "人工比对")
    async with scenario.transaction(scenario.bureau) as session:
        await evidence.determine_check(session, scenario.bureau, command, scenario.at)


@pytest.fixture
async def undecided(scenario: StandingScenario, monkeypatch: pytest.MonkeyPatch) -> tuple[UUID, UUID]:
    """A received prompt; the student's submission in the first check has no verdict."""
    first, _ = await scenario.misses(2)

    async def without_verdict(*_: object) -> set[tuple[UUID, UUID]]:
        return {(scenario.pupil.id, first.id)}

    monkeypatch.setattr("backend.roll_call.facts_for_standing._load_without_verdict", without_verdict)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    await confirm_receipt(scenario, prompt_id)
    return prompt_id, first.id


async def test_a_check_determined_as_missed_completes_the_evidence(
    scenario: StandingScenario, undecided: tuple[UUID, UUID]
) -> None:
    prompt_id, roll_call_id = undecided
    await expire(scenario)
    assert (await scenario.step(prompt_id)).state == "blocked"
    await determine(scenario, prompt_id, roll_call_id, "missed")
    assert (await scenario.step(prompt_id)).state == "executed"


async def test_a_check_determined_as_present_withdraws_the_prompt(
    scenario: StandingScenario, undecided: tuple[UUID, UUID]
) -> None:
    prompt_id, roll_call_id = undecided
    await determine(scenario, prompt_id, roll_call_id, "present")
    assert (await scenario.step(prompt_id)).state == "withdrawn"
    outcomes = [row for row in await scenario.rows(OutcomeEntry) if row.roll_call_id == roll_call_id]
    assert max(outcomes, key=lambda row: row.seq).outcome == Outcome.PRESENT


async def test_a_check_with_complete_evidence_is_not_determined_again(scenario: StandingScenario) -> None:
    first, _ = await scenario.misses(2)
    await scenario.recompute()
    with pytest.raises(EvidenceNotMissing):
        await determine(scenario, await load_prompt_id(scenario), first.id, "present")


# --- late leave (reading 19) ---


async def raise_absence_prompt(scenario: StandingScenario) -> UUID:
    """An absence recorded today that lasts until its prompt, which has been delivered."""
    scenario.pass_time(hours=2)
    absence = RecordAttendance(scenario.pupil.id, scenario.at, present=False, note="未到校")
    async with scenario.transaction(scenario.counselor) as session:
        await record_attendance(session, scenario.counselor, absence, scenario.at)
    scenario.pass_time(days=100)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    command = RecordDelivery(prompt_id, "written", scenario.at, "送达回证")
    async with scenario.transaction(scenario.bureau) as session:
        await record_delivery(session, scenario.bureau, command, scenario.at)
    return prompt_id


async def file_backdated_leave(scenario: StandingScenario) -> UUID:
    """Leave over the day of the recorded absence, filed and approved now by the counselor alone."""
    student, scenario_day = scenario.student(), scenario.today - timedelta(days=100)
    command = RequestLeave(
        LeaveKind.SICK, HalfDay(scenario_day, "morning"), HalfDay(scenario_day, "afternoon"), "发烧"
    )
    async with scenario.transaction(student) as session:
        leave = await request_leave(session, student, scenario.app_context.keys, command, scenario.at)
    scenario.pass_time(minutes=5)
    async with scenario.transaction(scenario.counselor) as session:
        decision = DecideLeave(leave.request.id, "approved")
        await decide_leave(session, scenario.counselor, decision, scenario.at)
    await scenario.run_events("LeaveRequested", "LeaveDecided")
    return leave.request.id


async def answer_leave(
    scenario: StandingScenario, prompt_id: UUID, leave_id: UUID, *, accepted: bool, actor: Actor | None = None
) -> None:
    actor = actor or scenario.bureau
    command = evidence.AnswerLateLeave(prompt_id, leave_id, accepted, "病历已核实")
    async with scenario.transaction(actor) as session:
        await evidence.answer_late_leave(session, actor, command, scenario.at)


@pytest.mark.clause("R19")
@pytest.mark.clause("HN334-3.5c")
@pytest.mark.parametrize(("accepted", "state"), [(True, "withdrawn"), (False, "running")])
async def test_the_superior_answers_backdated_leave(
    scenario: StandingScenario, accepted: bool, state: str
) -> None:
    prompt_id = await raise_absence_prompt(scenario)
    leave_id = await file_backdated_leave(scenario)
    assert (await scenario.step(prompt_id)).state == "running"
    async with scenario.transaction(scenario.bureau) as session:
        detail = await load_prompt_detail(session, scenario.bureau, prompt_id, scenario.at)
    assert [(item.leave.id, item.answer) for item in detail.late_leave] == [(leave_id, None)]
    with pytest.raises(NotPermitted):
        await answer_leave(scenario, prompt_id, leave_id, accepted=True, actor=scenario.registrar)
    await answer_leave(scenario, prompt_id, leave_id, accepted=accepted)
    assert (await scenario.step(prompt_id)).state == state
    with pytest.raises(PromptWithdrawn if accepted else NoLateLeave):
        await answer_leave(scenario, prompt_id, leave_id, accepted=accepted)
