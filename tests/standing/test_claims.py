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
from backend.leave.kinds import LeaveKind
from backend.leave.service import DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.notice.tables import Notice, NoticeMessage
from backend.people.attachment_files import Content, receive
from backend.roll_call.launch.audience import Audience
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import RollCall
from backend.roll_call.voiding import void_roll_call
from backend.standing.claims import errors
from backend.standing.claims.queries import ClaimSearch, ClaimView, load_claim, load_claims_page
from backend.standing.claims.service import DecideClaim, FileClaim, claim_late_leave, decide_claim, file_claim
from backend.standing.engine.prompts import PromptState
from backend.standing.store.tables import ClaimDecision, PromptDelivered, PromptRecord, ReasonClaimRecord
from tests.support.province import Pupil, bureau_account, counselor_account
from tests.support.standing.scenario import Registry

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R10")]


async def file_claim_for_miss(
    registry: Registry,
    roll_call: RollCall,
    actor: Actor | None = None,
    *,
    reason: str = "no_phone",
    text: str = "",
    pupil: Pupil | None = None,
    files: tuple[UUID, ...] = (),
) -> ClaimView:
    """File a claim, by default as the student."""
    actor = actor or registry.student(pupil)
    student_id = None if actor.role == "student" else (pupil or registry.pupil).id
    command = FileClaim(roll_call.id, reason, text, student_id, files)
    async with registry.transaction(actor) as session:
        return await file_claim(session, actor, command, registry.at)


async def decide_claim_as(registry: Registry, claim_id: UUID, actor: Actor, *, accepted: bool) -> ClaimView:
    async with registry.transaction(actor) as session:
        command = DecideClaim(claim_id, accepted, "情况属实" if accepted else "证据不足")
        return await decide_claim(session, actor, command, registry.at)


async def load_prompt_state(registry: Registry) -> tuple[str, list[str]]:
    """State and blockers of the pupil's prompt."""
    [prompt] = await registry.rows(PromptRecord)
    step = await registry.step(prompt.id)
    return step.state, step.blockers


async def test_an_open_claim_blocks_execution_and_an_accepted_one_withdraws(
    registry: Registry,
) -> None:
    _, second = await registry.misses(2)
    await registry.recompute()
    filed = await file_claim_for_miss(registry, second)
    await registry.run_events("ReasonClaimFiled")
    assert "open_reason_claim" in (await load_prompt_state(registry))[1]
    decided = await decide_claim_as(registry, filed.claim.id, registry.bureau, accepted=True)
    assert decided.state == "accepted"
    assert (await load_prompt_state(registry))[0] == PromptState.WITHDRAWN
    assessment = await registry.recompute()
    [term] = [term for term in assessment.terms if term.sequence]
    assert [place.why for place in term.sequence][1] != ""
    assert term.misses.consecutive == 1


async def test_a_refused_claim_keeps_the_prompt_and_cannot_be_repeated(registry: Registry) -> None:
    _, second = await registry.misses(2)
    await registry.recompute()
    filed = await file_claim_for_miss(registry, second)
    await decide_claim_as(registry, filed.claim.id, registry.bureau, accepted=False)
    state, blockers = await load_prompt_state(registry)
    assert state == PromptState.UNDELIVERED
    assert "open_reason_claim" not in blockers
    with pytest.raises(errors.ClaimExists):
        await file_claim_for_miss(registry, second, reason="illness")
    with pytest.raises(errors.ClaimDecided):
        await decide_claim_as(registry, filed.claim.id, registry.province, accepted=True)


async def test_the_student_is_notified_of_the_decision_without_the_reason(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    filed = await file_claim_for_miss(registry, missed, reason="other", text="家中变故")
    await decide_claim_as(registry, filed.claim.id, registry.bureau, accepted=False)
    await registry.run_events("ReasonClaimDecided")
    async with registry.roll_call_scenario.owner_transaction() as session:
        bodies = (
            select(NoticeMessage.body_zh)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .where(NoticeMessage.group_id == filed.claim.id, Notice.student_id == registry.pupil.id)
        )
        [body] = await session.scalars(bodies)
    assert "申诉" in body
    assert "家中变故" not in body
    assert "证据不足" not in body


async def test_the_checked_school_cannot_decide_claims(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    filed = await file_claim_for_miss(registry, missed)
    for actor in (registry.registrar, registry.counselor):
        with pytest.raises(NotPermitted):
            await decide_claim_as(registry, filed.claim.id, actor, accepted=True)
    with pytest.raises(NotFound):
        await decide_claim_as(
            registry,
            filed.claim.id,
            bureau_account(registry.roll_call_scenario.world.other_city),
            accepted=True,
        )


async def test_the_bureau_cannot_decide_claims_on_checks_of_the_province(
    registry: Registry,
) -> None:
    missed = await registry.check(actor=registry.province)
    filed = await file_claim_for_miss(registry, missed)
    with pytest.raises(NotPermitted):
        await decide_claim_as(registry, filed.claim.id, registry.bureau, accepted=True)
    assert (
        await decide_claim_as(registry, filed.claim.id, registry.province, accepted=True)
    ).state == "accepted"


async def test_counselor_and_registrar_can_claim_for_a_student(registry: Registry) -> None:
    first, second = await registry.misses(2)
    by_counselor = await file_claim_for_miss(registry, first, registry.counselor, reason="illness")
    by_registrar = await file_claim_for_miss(registry, second, registry.registrar, reason="official_activity")
    assert {by_counselor.claim.student_id, by_registrar.claim.student_id} == {registry.pupil.id}


@pytest.mark.clause("HN334-2.3")
async def test_staff_not_responsible_for_the_student_cannot_claim(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    colleague = counselor_account(registry.school, registry.school.classes[1])
    with pytest.raises(NotFound):
        await file_claim_for_miss(registry, missed, colleague)
    with pytest.raises(NotPermitted):
        await file_claim_for_miss(registry, missed, registry.bureau)


@pytest.mark.clause("HN334-2.3")
async def test_claims_are_visible_only_to_student_school_and_superiors(
    registry: Registry,
) -> None:
    [missed] = await registry.misses(1)
    filed = await file_claim_for_miss(registry, missed)
    world, school = registry.roll_call_scenario.world, registry.school
    readers = {
        "student": registry.student(),
        "counselor": registry.counselor,
        "registrar": registry.registrar,
        "bureau": registry.bureau,
        "province": registry.province,
    }
    strangers = {
        "classmate": registry.student(school.students[1]),
        "colleague": counselor_account(school, school.classes[1]),
        "other bureau": bureau_account(world.other_city),
    }
    for name, actor in (readers | strangers).items():
        async with registry.transaction(actor) as session:
            search = ClaimSearch("open", missed.id, registry.pupil.id)
            page = await load_claims_page(session, actor, search, None, 10)
            assert [view.claim.id for view in page] == ([filed.claim.id] if name in readers else []), name
            if name in strangers:
                with pytest.raises(NotFound):
                    await load_claim(session, actor, filed.claim.id)


async def test_only_a_settled_miss_of_a_superiors_check_can_be_claimed(registry: Registry) -> None:
    async def assert_refused(roll_call: RollCall, error: type[DomainError]) -> None:
        with pytest.raises(error):
            await file_claim_for_miss(registry, roll_call)

    passed = await registry.check(present=[registry.pupil])
    await assert_refused(passed, errors.ClaimOfNoMiss)
    registry.set_clock(days=1)
    own = await registry.check(actor=registry.registrar, kind="school_own")
    await assert_refused(own, errors.ClaimOfSchoolCheck)
    registry.set_clock(days=1)
    voided = await registry.check()
    bureau = registry.bureau
    async with registry.transaction(bureau) as session:
        await void_roll_call(session, bureau, voided.id, "时间有误", registry.at)
    await assert_refused(voided, errors.ClaimOfNoMiss)
    registry.set_clock(days=1)
    open_one = (await registry.roll_call_scenario.launch()).roll_call
    await assert_refused(open_one, errors.ClaimTooEarly)


async def test_a_roll_call_without_obligation_is_not_found(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    others = await registry.check(audience=Audience(class_ids=(registry.school.classes[1].id,)))
    for roll_call_id in (others.id, new_id()):
        with pytest.raises(NotFound):
            async with registry.transaction(registry.student()) as session:
                command = FileClaim(roll_call_id, "no_phone")
                await file_claim(session, registry.student(), command, registry.at)
    assert await file_claim_for_miss(registry, missed)


async def test_the_reason_is_from_the_catalogue_and_may_need_a_text(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    with pytest.raises(errors.ClaimReasonUnknown):
        await file_claim_for_miss(registry, missed, reason="rain")
    with pytest.raises(errors.ClaimReasonNeedsText):
        await file_claim_for_miss(registry, missed, reason="other", text="  ")
    assert (
        await file_claim_for_miss(registry, missed, reason="other", text="家中变故")
    ).claim.text == "家中变故"


async def test_one_of_two_concurrent_claims_is_refused(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    student = registry.student()
    async with registry.transaction(student) as session:
        await file_claim(session, student, FileClaim(missed.id, "no_phone"), registry.at)
        second = asyncio.create_task(file_claim_for_miss(registry, missed, registry.registrar))
        waits = asyncio.create_task(registry.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(errors.ClaimExists):
        await second
    assert len(await registry.rows(ReasonClaimRecord)) == 1


async def test_the_database_rejects_a_decision_by_the_filing_account(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    filed = (await file_claim_for_miss(registry, missed)).claim
    own = {"claim_id": filed.id, "school_id": filed.school_id, "student_id": filed.student_id}
    for filed_by in (filed.filed_by, new_id()):
        answer = own | {"accepted": True, "opinion": "", "filed_by": filed_by, "decided_by": filed.filed_by}
        with pytest.raises(IntegrityError):
            async with registry.as_worker() as session:
                await session.execute(insert(ClaimDecision).values(answer | {"at": registry.at}))


async def test_a_claim_has_the_files_that_the_student_uploaded(registry: Registry) -> None:
    [missed] = await registry.misses(1)
    student, data = registry.student(), b"%PDF-1.4 proof"
    file = await receive(
        registry.app_context, student, registry.pupil.id, Content("application/pdf", data), registry.at
    )
    filed = await file_claim_for_miss(registry, missed, student, files=(file.id,))
    assert [each.id for each in filed.attachments] == [file.id]
    async with registry.transaction(registry.bureau) as session:
        seen = await load_claim(session, registry.bureau, filed.claim.id)
    assert [each.id for each in seen.attachments] == [file.id]


async def test_a_claim_does_not_reopen_a_decided_prompt(registry: Registry) -> None:
    missed = await registry.misses(2)
    await registry.recompute()
    [prompt] = await registry.rows(PromptRecord)
    of = {"school_id": registry.school.id, "student_id": registry.pupil.id}
    async with registry.as_worker() as session:
        session.add(PromptDelivered(prompt_id=prompt.id, **of, at=registry.at, how="in_app"))
    registry.set_clock(days=20)
    await registry.recompute()
    assert await load_prompt_state(registry) == (PromptState.EXECUTED, [])
    with pytest.raises(errors.ClaimCaseClosed):
        await file_claim_for_miss(registry, missed[0])


# --- late leave (reading 6) ---


async def request_sick_leave(registry: Registry, *, approved: bool = False) -> UUID:
    """Sick leave of the pupil over the whole of today."""
    student, today = registry.student(), registry.today
    command = RequestLeave(LeaveKind.SICK, HalfDay(today, "morning"), HalfDay(today, "afternoon"), "发烧就医")
    async with registry.transaction(student) as session:
        asked = await request_leave(session, student, registry.app_context.keys, command, registry.at)
    if approved:
        await approve_leave(registry, asked.request.id)
    return asked.request.id


async def approve_leave(registry: Registry, leave_id: UUID) -> None:
    async with registry.transaction(registry.registrar) as session:
        await decide_leave(session, registry.registrar, DecideLeave(leave_id, "approved"), registry.at)


async def claim_late_leave_of_pupil(registry: Registry) -> int:
    async with registry.as_worker() as session:
        return await claim_late_leave(session, registry.pupil.id, registry.at)


@pytest.mark.clause("R6")
async def test_late_leave_becomes_exactly_one_claim(
    registry: Registry,
) -> None:
    missed = await registry.check()
    leave_id = await request_sick_leave(registry, approved=True)
    assert (await claim_late_leave_of_pupil(registry), await claim_late_leave_of_pupil(registry)) == (1, 0)
    [row] = await registry.rows(ReasonClaimRecord)
    assert (row.roll_call_id, row.leave_id, row.reason) == (missed.id, leave_id, "illness")
    decided = await decide_claim_as(registry, row.id, registry.bureau, accepted=True)
    assert decided.state == "accepted"
    assessment = await registry.recompute()
    assert [place.place for term in assessment.terms for place in term.sequence] == ["out"]


@pytest.mark.clause("R6")
async def test_leave_events_file_the_claim(registry: Registry) -> None:
    await registry.check()
    await request_sick_leave(registry)
    await registry.run_events("LeaveRequested")
    assert len(await registry.rows(ReasonClaimRecord)) == 1


@pytest.mark.clause("R6")
async def test_leave_approved_before_the_notice_needs_no_claim(registry: Registry) -> None:
    await request_sick_leave(registry, approved=True)
    registry.pass_time(minutes=1)
    roll_call = await registry.check()
    assert await claim_late_leave_of_pupil(registry) == 0
    outcomes = await registry.roll_call_scenario.outcomes(roll_call.id)
    assert outcomes[registry.pupil.id].outcome == Outcome.EXCUSED


@pytest.mark.clause("R6")
async def test_leave_that_leaves_the_minimum_window_is_no_claim(registry: Registry) -> None:
    await registry.check()
    registry.set_clock(days=1)
    await request_sick_leave(registry)
    assert await claim_late_leave_of_pupil(registry) == 0


@pytest.mark.clause("R6")
async def test_no_claim_for_a_roll_call_not_announced_yet(registry: Registry) -> None:
    later = registry.at + timedelta(hours=3)
    await registry.roll_call_scenario.launch(
        told=False, notify_at=later, opens_at=later, closes_at=later + timedelta(hours=1)
    )
    await request_sick_leave(registry)
    assert await claim_late_leave_of_pupil(registry) == 0
