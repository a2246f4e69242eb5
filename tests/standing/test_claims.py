"""Reason claims: filed by the student or the school, decided by the launching side (readings 6 and 10)."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from backend.core.actor import Actor
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.leave.kinds import LeaveKind
from backend.leave.service import DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.notice.tables import Notice, NoticeMessage
from backend.people.attachment_files import FileContent, store_upload
from backend.roll_call.launch.audience import Audience
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import RollCall
from backend.roll_call.voiding import void_roll_call
from backend.standing.claims import errors
from backend.standing.claims.queries import ClaimSearch, ClaimView, load_claim, load_claims_page
from backend.standing.claims.service import (
    DecideClaim,
    FileClaim,
    decide_claim,
    file_claim,
    file_late_leave_claims,
)
from backend.standing.engine.prompts import PromptState
from backend.standing.explanations.service import load_entry_explanation
from backend.standing.prompts.errors import BlockersUnanswered
from backend.standing.store.tables import (
    ClaimDecision,
    PromptDelivered,
    PromptRecord,
    ReasonClaimRecord,
    StandingEntry,
)
from tests.support.province import SampleStudent, bureau_account, counselor_account
from tests.support.standing.notices import create_superior_account, load_notices
from tests.support.standing.prompt_actions import decide, raise_received_prompt
from tests.support.standing.prompts import confirm_receipt, load_prompt_id
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R10")]


async def file_claim_for_miss(
    scenario: StandingScenario,
    roll_call: RollCall,
    actor: Actor | None = None,
    *,
    reason: str = "no_phone",
    text: str = "",
    pupil: SampleStudent | None = None,
    files: tuple[UUID, ...] = (),
) -> ClaimView:
    """File a claim, by default as the student."""
    actor = actor or scenario.student(pupil)
    student_id = None if actor.role == "student" else (pupil or scenario.pupil).id
    command = FileClaim(roll_call.id, reason, text, student_id, files)
    async with scenario.transaction(actor) as session:
        return await file_claim(session, actor, command, scenario.at)


async def decide_claim_as(
    scenario: StandingScenario, claim_id: UUID, actor: Actor, *, accepted: bool
) -> ClaimView:
    async with scenario.transaction(actor) as session:
        command = DecideClaim(claim_id, accepted, "情况属实" if accepted else "证据不足")
        return await decide_claim(session, actor, command, scenario.at)


async def load_prompt_state(scenario: StandingScenario) -> tuple[str, list[str]]:
    """State and blockers of the pupil's prompt."""
    [prompt] = await scenario.rows(PromptRecord)
    step = await scenario.step(prompt.id)
    return step.state, step.blockers


async def test_an_open_claim_blocks_execution_and_an_accepted_one_withdraws(
    scenario: StandingScenario,
) -> None:
    _, second = await scenario.misses(2)
    await scenario.recompute()
    filed = await file_claim_for_miss(scenario, second)
    await scenario.run_events("ReasonClaimFiled")
    assert "open_reason_claim" in (await load_prompt_state(scenario))[1]
    decided = await decide_claim_as(scenario, filed.claim.id, scenario.bureau, accepted=True)
    assert decided.state == "accepted"
    assert (await load_prompt_state(scenario))[0] == PromptState.WITHDRAWN
    assessment = await scenario.recompute()
    [term] = [term for term in assessment.terms if term.sequence]
    assert [place.why for place in term.sequence][1] != ""
    assert term.misses.consecutive == 1


@pytest.mark.clause("R25")
async def test_a_decision_despite_an_open_claim_needs_reasons_and_is_told_to_the_superior(
    scenario: StandingScenario,
) -> None:
    superior = await create_superior_account(scenario)
    _, second = await scenario.misses(2)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    await confirm_receipt(scenario, prompt_id)
    await file_claim_for_miss(scenario, second)
    with pytest.raises(BlockersUnanswered) as refusal:
        await decide(scenario, prompt_id)
    assert "理由" in refusal.value.sentence("zh")
    assert await scenario.status() == ("01", "full_time")
    await decide(scenario, prompt_id, reasons="学生称无手机，班级有专用手机，已当面核实")
    assert await scenario.status() == ("01", "part_time")
    await scenario.run_events("PromptMoved")
    notices = await load_notices(scenario, prompt_id)
    assert ("prompt_decided_superior", superior) in [(kind, who) for kind, who, _ in notices]
    [entry] = await scenario.rows(StandingEntry)
    async with scenario.transaction(scenario.bureau) as session:
        explanation = await load_entry_explanation(session, scenario.bureau, entry.id)
    assert any("还有事项未了结" in paragraph.zh for paragraph in explanation.paragraphs)


@pytest.mark.clause("R25")
async def test_a_decision_without_blockers_is_not_told_to_the_superior(scenario: StandingScenario) -> None:
    superior = await create_superior_account(scenario)
    prompt_id = await raise_received_prompt(scenario)
    await decide(scenario, prompt_id)
    await scenario.run_events("PromptMoved")
    notices = await load_notices(scenario, prompt_id)
    assert ("prompt_decided_superior", superior) not in [(kind, who) for kind, who, _ in notices]


async def test_a_refused_claim_keeps_the_prompt_and_cannot_be_repeated(scenario: StandingScenario) -> None:
    _, second = await scenario.misses(2)
    await scenario.recompute()
    filed = await file_claim_for_miss(scenario, second)
    await decide_claim_as(scenario, filed.claim.id, scenario.bureau, accepted=False)
    state, blockers = await load_prompt_state(scenario)
    assert state == PromptState.UNDELIVERED
    assert "open_reason_claim" not in blockers
    with pytest.raises(errors.ClaimExists):
        await file_claim_for_miss(scenario, second, reason="illness")
    with pytest.raises(errors.ClaimDecided):
        await decide_claim_as(scenario, filed.claim.id, scenario.province, accepted=True)


async def test_the_student_is_notified_of_the_decision_without_the_reason(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    filed = await file_claim_for_miss(scenario, missed, reason="other", text="家中变故")
    await decide_claim_as(scenario, filed.claim.id, scenario.bureau, accepted=False)
    await scenario.run_events("ReasonClaimDecided")
    async with scenario.roll_call_scenario.owner_transaction() as session:
        bodies = (
            select(NoticeMessage.body_zh)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .where(NoticeMessage.group_id == filed.claim.id, Notice.student_id == scenario.pupil.id)
        )
        [body] = await session.scalars(bodies)
    assert "申诉" in body
    assert "家中变故" not in body
    assert "证据不足" not in body


async def test_the_checked_school_cannot_decide_claims(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    filed = await file_claim_for_miss(scenario, missed)
    for actor in (scenario.registrar, scenario.counselor):
        with pytest.raises(NotPermitted):
            await decide_claim_as(scenario, filed.claim.id, actor, accepted=True)
    with pytest.raises(NotFound):
        await decide_claim_as(
            scenario,
            filed.claim.id,
            bureau_account(scenario.roll_call_scenario.world.other_city),
            accepted=True,
        )


async def test_the_bureau_cannot_decide_claims_on_checks_of_the_province(
    scenario: StandingScenario,
) -> None:
    missed = await scenario.check(actor=scenario.province)
    filed = await file_claim_for_miss(scenario, missed)
    with pytest.raises(NotPermitted):
        await decide_claim_as(scenario, filed.claim.id, scenario.bureau, accepted=True)
    assert (
        await decide_claim_as(scenario, filed.claim.id, scenario.province, accepted=True)
    ).state == "accepted"


async def test_counselor_and_registrar_can_claim_for_a_student(scenario: StandingScenario) -> None:
    first, second = await scenario.misses(2)
    by_counselor = await file_claim_for_miss(scenario, first, scenario.counselor, reason="illness")
    by_registrar = await file_claim_for_miss(scenario, second, scenario.registrar, reason="official_activity")
    assert {by_counselor.claim.student_id, by_registrar.claim.student_id} == {scenario.pupil.id}


@pytest.mark.clause("HN334-2.3")
async def test_staff_not_responsible_for_the_student_cannot_claim(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    colleague = counselor_account(scenario.school, scenario.school.classes[1])
    with pytest.raises(NotFound):
        await file_claim_for_miss(scenario, missed, colleague)
    with pytest.raises(NotPermitted):
        await file_claim_for_miss(scenario, missed, scenario.bureau)


@pytest.mark.clause("HN334-2.3")
async def test_claims_are_visible_only_to_student_school_and_superiors(
    scenario: StandingScenario,
) -> None:
    [missed] = await scenario.misses(1)
    filed = await file_claim_for_miss(scenario, missed)
    world, school = scenario.roll_call_scenario.world, scenario.school
    readers = {
        "student": scenario.student(),
        "counselor": scenario.counselor,
        "registrar": scenario.registrar,
        "bureau": scenario.bureau,
        "province": scenario.province,
    }
    strangers = {
        "classmate": scenario.student(school.students[1]),
        "colleague": counselor_account(school, school.classes[1]),
        "other bureau": bureau_account(world.other_city),
    }
    for name, actor in (readers | strangers).items():
        async with scenario.transaction(actor) as session:
            search = ClaimSearch("open", missed.id, scenario.pupil.id)
            page = (await load_claims_page(session, actor, search, PageRequest(10))).rows
            assert [view.claim.id for view in page] == ([filed.claim.id] if name in readers else []), name
            if name in strangers:
                with pytest.raises(NotFound):
                    await load_claim(session, actor, filed.claim.id)


async def test_only_a_settled_miss_of_a_superiors_check_can_be_claimed(scenario: StandingScenario) -> None:
    async def assert_refused(roll_call: RollCall, error: type[DomainError]) -> None:
        with pytest.raises(error):
            await file_claim_for_miss(scenario, roll_call)

    passed = await scenario.check(present=[scenario.pupil])
    await assert_refused(passed, errors.ClaimOfNoMiss)
    scenario.set_clock(days=1)
    own = await scenario.check(actor=scenario.registrar, kind="school_own")
    await assert_refused(own, errors.ClaimOfSchoolCheck)
    scenario.set_clock(days=1)
    voided = await scenario.check()
    bureau = scenario.bureau
    async with scenario.transaction(bureau) as session:
        await void_roll_call(session, bureau, voided.id, "时间有误", scenario.at)
    await assert_refused(voided, errors.ClaimOfNoMiss)
    scenario.set_clock(days=1)
    open_one = (await scenario.roll_call_scenario.launch()).roll_call
    await assert_refused(open_one, errors.ClaimTooEarly)


async def test_a_roll_call_without_obligation_is_not_found(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    others = await scenario.check(audience=Audience(class_ids=(scenario.school.classes[1].id,)))
    for roll_call_id in (others.id, new_id()):
        with pytest.raises(NotFound):
            async with scenario.transaction(scenario.student()) as session:
                command = FileClaim(roll_call_id, "no_phone")
                await file_claim(session, scenario.student(), command, scenario.at)
    assert await file_claim_for_miss(scenario, missed)


async def test_the_reason_is_from_the_catalogue_and_may_need_a_text(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    with pytest.raises(errors.ClaimReasonUnknown):
        await file_claim_for_miss(scenario, missed, reason="rain")
    with pytest.raises(errors.ClaimReasonNeedsText):
        await file_claim_for_miss(scenario, missed, reason="other", text="  ")
    assert (
        await file_claim_for_miss(scenario, missed, reason="other", text="家中变故")
    ).claim.text == "家中变故"


async def test_one_of_two_concurrent_claims_is_refused(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    student = scenario.student()
    async with scenario.transaction(student) as session:
        await file_claim(session, student, FileClaim(missed.id, "no_phone"), scenario.at)
        second = asyncio.create_task(file_claim_for_miss(scenario, missed, scenario.registrar))
        waits = asyncio.create_task(scenario.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(errors.ClaimExists):
        await second
    assert len(await scenario.rows(ReasonClaimRecord)) == 1


async def test_the_database_rejects_a_decision_by_the_filing_account(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    filed = (await file_claim_for_miss(scenario, missed)).claim
    own = {"claim_id": filed.id, "school_id": filed.school_id, "student_id": filed.student_id}
    for filed_by in (filed.filed_by, new_id()):
        answer = own | {"accepted": True, "opinion": "", "filed_by": filed_by, "decided_by": filed.filed_by}
        with pytest.raises(IntegrityError):
            async with scenario.as_worker() as session:
                await session.execute(insert(ClaimDecision).values(answer | {"at": scenario.at}))


async def test_a_claim_has_the_files_that_the_student_uploaded(scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    student, data = scenario.student(), b"%PDF-1.4 proof"
    file = await store_upload(
        scenario.app_context, student, scenario.pupil.id, FileContent("application/pdf", data), scenario.at
    )
    filed = await file_claim_for_miss(scenario, missed, student, files=(file.id,))
    assert [each.id for each in filed.attachments] == [file.id]
    async with scenario.transaction(scenario.bureau) as session:
        seen = await load_claim(session, scenario.bureau, filed.claim.id)
    assert [each.id for each in seen.attachments] == [file.id]


async def test_a_claim_does_not_reopen_a_decided_prompt(scenario: StandingScenario) -> None:
    missed = await scenario.misses(2)
    await scenario.recompute()
    [prompt] = await scenario.rows(PromptRecord)
    of = {"school_id": scenario.school.id, "student_id": scenario.pupil.id}
    async with scenario.as_worker() as session:
        session.add(PromptDelivered(prompt_id=prompt.id, **of, at=scenario.at, how="in_app"))
    scenario.set_clock(days=20)
    await scenario.recompute()
    assert await load_prompt_state(scenario) == (PromptState.EXECUTED, [])
    with pytest.raises(errors.ClaimCaseClosed):
        await file_claim_for_miss(scenario, missed[0])


# --- late leave (reading 6) ---


async def request_sick_leave(scenario: StandingScenario, *, approved: bool = False) -> UUID:
    """Sick leave of the pupil over the whole of today."""
    student, today = scenario.student(), scenario.today
    command = RequestLeave(LeaveKind.SICK, HalfDay(today, "morning"), HalfDay(today, "afternoon"), "发烧就医")
    async with scenario.transaction(student) as session:
        asked = await request_leave(session, student, scenario.app_context.keys, command, scenario.at)
    if approved:
        await approve_leave(scenario, asked.request.id)
    return asked.request.id


async def approve_leave(scenario: StandingScenario, leave_id: UUID) -> None:
    async with scenario.transaction(scenario.registrar) as session:
        await decide_leave(session, scenario.registrar, DecideLeave(leave_id, "approved"), scenario.at)


async def claim_late_leave_of_pupil(scenario: StandingScenario) -> int:
    async with scenario.as_worker() as session:
        return await file_late_leave_claims(session, scenario.pupil.id, scenario.at)


@pytest.mark.clause("R6")
async def test_late_leave_becomes_exactly_one_claim(
    scenario: StandingScenario,
) -> None:
    missed = await scenario.check()
    leave_id = await request_sick_leave(scenario, approved=True)
    assert (await claim_late_leave_of_pupil(scenario), await claim_late_leave_of_pupil(scenario)) == (1, 0)
    [row] = await scenario.rows(ReasonClaimRecord)
    assert (row.roll_call_id, row.leave_id, row.reason) == (missed.id, leave_id, "illness")
    decided = await decide_claim_as(scenario, row.id, scenario.bureau, accepted=True)
    assert decided.state == "accepted"
    assessment = await scenario.recompute()
    assert [place.place for term in assessment.terms for place in term.sequence] == ["out"]


@pytest.mark.clause("R6")
async def test_leave_events_file_the_claim(scenario: StandingScenario) -> None:
    await scenario.check()
    await request_sick_leave(scenario)
    await scenario.run_events("LeaveRequested")
    assert len(await scenario.rows(ReasonClaimRecord)) == 1


@pytest.mark.clause("R6")
async def test_leave_approved_before_the_notice_needs_no_claim(scenario: StandingScenario) -> None:
    await request_sick_leave(scenario, approved=True)
    scenario.pass_time(minutes=1)
    roll_call = await scenario.check()
    assert await claim_late_leave_of_pupil(scenario) == 0
    outcomes = await scenario.roll_call_scenario.outcomes(roll_call.id)
    assert outcomes[scenario.pupil.id].outcome == Outcome.EXCUSED


@pytest.mark.clause("R6")
async def test_leave_that_leaves_the_minimum_window_is_no_claim(scenario: StandingScenario) -> None:
    await scenario.check()
    scenario.set_clock(days=1)
    await request_sick_leave(scenario)
    assert await claim_late_leave_of_pupil(scenario) == 0


@pytest.mark.clause("R6")
async def test_no_claim_for_a_roll_call_not_announced_yet(scenario: StandingScenario) -> None:
    later = scenario.at + timedelta(hours=3)
    await scenario.roll_call_scenario.launch(
        announced=False, notify_at=later, opens_at=later, closes_at=later + timedelta(hours=1)
    )
    await request_sick_leave(scenario)
    assert await claim_late_leave_of_pupil(scenario) == 0
