"""Requests for leave and their answers in the database: who sees them, what they hold, who is told."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.core.actor import Actor
from backend.core.database import Database
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.leave.errors import (
    LeaveAlreadyDecided,
    LeaveIntervalInvalid,
    LeaveOpinionMissing,
    LeaveOver,
    LeaveOverlaps,
)
from backend.leave.kinds import LeaveKind
from backend.leave.queries import LeaveSearch, leaves_page
from backend.leave.reasons import decrypt_reason
from backend.leave.rules import LeaveState
from backend.leave.schemas import leaves_out
from backend.leave.service import Answer, DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.leave.tables import LeaveDecision, LeaveRequest
from backend.org.errors import DaysInTwoTerms, TermNotSet
from backend.people.attachment_errors import AttachmentUnusable
from backend.people.attachment_files import Content, receive
from backend.people.student_lock import lock_student
from tests.support.database_contents import columns_holding
from tests.support.leave import Desk
from tests.support.province import bureau_account, province_account, registrar_account

pytestmark = pytest.mark.clause("HN334-3.5a")


async def test_request_is_pending_until_approved(desk: Desk) -> None:
    asked = await desk.ask(days=2)
    assert asked.state(desk.at) is LeaveState.PENDING
    assert asked.request.ends_at - asked.request.starts_at == timedelta(days=2)
    decided = await desk.decide(asked)
    assert decided.state(desk.at) is LeaveState.APPROVED
    async with desk.roll_call_scenario.owner_transaction() as session:
        acts = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == str(asked.request.id))
        )
        assert sorted(acts) == ["leave_decided", "leave_requested"]


async def test_half_days_meet_at_noon(desk: Desk) -> None:
    morning = await desk.ask(days=1, last_half="morning")
    afternoon = await desk.ask(days=1, first_half="afternoon")
    assert morning.request.ends_at == afternoon.request.starts_at
    with pytest.raises(LeaveIntervalInvalid):
        await desk.ask(first=2, first_half="afternoon", last_half="morning")


async def test_overlapping_request_is_rejected_while_the_first_is_active(desk: Desk) -> None:
    first = await desk.ask(first=1, days=3)
    with pytest.raises(LeaveOverlaps):
        await desk.ask(first=3, days=2)
    await desk.cancel(first)
    again = await desk.ask(first=3, days=2)
    assert again.state(desk.at) is LeaveState.PENDING


async def test_concurrent_requests_for_the_same_days_reject_one(desk: Desk) -> None:
    day = HalfDay(desk.today, "morning")
    async with desk.transaction(desk.student()) as session:
        command = RequestLeave(LeaveKind.SICK, day, day, "发烧就医")
        await request_leave(
            session, desk.student(), desk.roll_call_scenario.app_context.keys, command, desk.at
        )
        second = asyncio.create_task(desk.ask())
        waits = asyncio.create_task(desk.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(LeaveOverlaps):
        await second


async def test_concurrent_act_sees_the_committed_decision(desk: Desk) -> None:
    asked = await desk.ask()
    command = DecideLeave(asked.request.id, "approved")
    async with desk.transaction(desk.counselor) as session:
        await decide_leave(session, desk.counselor, command, desk.at)
        second = asyncio.create_task(desk.cancel(asked, desk.roll_call_scenario.registrar))
        waits = asyncio.create_task(desk.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    cancelled = await second
    assert cancelled.decision is not None
    assert cancelled.state(desk.at) is LeaveState.CANCELLED


@pytest.mark.parametrize("days", [200, 4000])
async def test_leave_must_lie_in_one_term(desk: Desk, days: int) -> None:
    with pytest.raises((DaysInTwoTerms, TermNotSet)):
        await desk.ask(days=days)


async def test_staff_cannot_request_and_students_cannot_decide(desk: Desk) -> None:
    asked = await desk.ask()
    with pytest.raises(NotPermitted):
        await desk.decide(asked, actor=desk.student())


async def test_deciding_an_own_request_violates_a_constraint(desk: Desk) -> None:
    asked = await desk.ask()
    request = asked.request
    row = LeaveDecision(
        leave_id=request.id,
        school_id=request.school_id,
        student_id=request.student_id,
        outcome="approved",
        opinion=None,
        filed_by=request.filed_by,
        decided_by=request.filed_by,
        stood_in_for=None,
        decided_at=desk.at,
    )
    with pytest.raises(IntegrityError, match="not_their_own"):
        async with desk.roll_call_scenario.owner_transaction() as session:
            session.add(row)


async def test_request_is_decided_once(desk: Desk) -> None:
    asked = await desk.ask()
    await desk.decide(asked)
    answers: tuple[Answer, ...] = ("approved", "declined")
    for again in answers:
        with pytest.raises(LeaveAlreadyDecided):
            await desk.decide(asked, again, desk.roll_call_scenario.registrar, "证明不全")


async def test_declining_requires_an_opinion_and_ends_the_request(desk: Desk) -> None:
    asked = await desk.ask()
    with pytest.raises(LeaveOpinionMissing):
        await desk.decide(asked, "declined")
    declined = await desk.decide(asked, "declined", opinion="证明不全")
    assert declined.state(desk.at) is LeaveState.REFUSED
    with pytest.raises(LeaveOver):
        await desk.cancel(asked)
    with pytest.raises(LeaveOver):
        await desk.come_back(asked)


async def test_cancelled_request_cannot_be_approved(desk: Desk) -> None:
    asked = await desk.ask()
    await desk.cancel(asked)
    with pytest.raises(LeaveOver):
        await desk.decide(asked)


@pytest.mark.clause("HN334-2.3")
async def test_leave_of_others_is_not_found(desk: Desk) -> None:
    asked = await desk.ask()
    world = desk.roll_call_scenario.world
    classmate = desk.student(desk.school.classes[0].students[1])
    strangers: list[Actor] = [desk.colleague, registrar_account(world.sister)]
    strangers += [bureau_account(world.city), province_account(world.province)]
    for stranger in strangers:
        with pytest.raises(NotFound):
            await desk.decide(asked, actor=stranger)
    for stranger in [*strangers, classmate]:
        with pytest.raises(NotFound):
            await desk.cancel(asked, stranger)
        with pytest.raises(NotFound):
            await desk.come_back(asked, stranger)


async def test_database_rejects_a_request_for_another_student(desk: Desk) -> None:
    other = desk.school.classes[0].students[1]
    row = LeaveRequest(
        id=new_id(),
        school_id=other.school_id,
        student_id=other.id,
        kind="sick",
        starts_at=desk.at,
        ends_at=desk.at + timedelta(days=1),
        reason_sealed=b"sealed",
        filed_by=new_id(),
        filed_at=desk.at,
    )
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with desk.transaction(desk.student()) as session:
            session.add(row)


@pytest.mark.parametrize(
    "table",
    [
        "leave_request",
        "leave_decision",
        "leave_cancellation",
        "leave_return",
        "leave_stand_in",
        "leave_stand_in_ended",
    ],
)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET school_id = school_id"])
async def test_leave_rows_cannot_be_updated_or_deleted(desk: Desk, table: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with desk.transaction(desk.roll_call_scenario.registrar) as session:
            await session.execute(text(statement.format(table)))


# --- notices ---


async def test_counselor_and_student_are_notified_with_the_days(
    desk: Desk,
) -> None:
    counselor = await desk.roll_call_scenario.account("counselor", desk.school, desk.school.classes[0])
    colleague = await desk.roll_call_scenario.account("counselor", desk.school, desk.school.classes[1])
    asked = await desk.ask(days=14)
    await desk.deliver("LeaveRequested", asked)
    await desk.deliver("LeaveRequested", asked)
    assert [(kind, who) for kind, who, _ in await desk.told(asked)] == [
        ("leave_requested", counselor.account_id)
    ]
    await desk.name_stand_in(colleague)
    await desk.decide(asked)
    await desk.deliver("LeaveAlreadyDecided", asked)
    ((who, told),) = [(who, text) for kind, who, text in await desk.told(asked) if kind == "leave_decided"]
    assert who == desk.pupil.id
    assert "共 14 天，上限 15 天" in told
    assert "发烧" not in told
    await desk.come_back(asked)
    await desk.deliver("LeaveReturned", asked)
    ended = {who for kind, who, _ in await desk.told(asked) if kind == "leave_returned"}
    assert ended == {counselor.account_id, colleague.account_id}


async def test_student_is_notified_when_staff_cancel(desk: Desk) -> None:
    leave = await desk.approved(days=2)
    await desk.cancel(leave, desk.counselor)
    await desk.deliver("LeaveCancelled", leave)
    assert [(kind, who) for kind, who, _ in await desk.told(leave)] == [("leave_cancelled", desk.pupil.id)]


# --- lists ---


async def test_list_filters_by_the_state_of_the_rules(desk: Desk) -> None:
    pupils = desk.school.students
    made = {
        LeaveState.PENDING: await desk.ask(pupil=pupils[0]),
        LeaveState.APPROVED: await desk.approved(pupil=pupils[1]),
        LeaveState.RETURNED: await desk.come_back(
            await desk.approved(pupil=pupils[2]), desk.roll_call_scenario.registrar
        ),
        LeaveState.CANCELLED: await desk.cancel(
            await desk.approved(pupil=pupils[3]), desk.roll_call_scenario.registrar
        ),
        LeaveState.REFUSED: await desk.decide(
            await desk.ask(pupil=pupils[4]), "declined", desk.roll_call_scenario.registrar, "证明不全"
        ),
    }
    registrar = desk.roll_call_scenario.registrar
    async with desk.transaction(registrar) as session:
        for state, leave in made.items():
            page = await leaves_page(session, registrar, LeaveSearch(state), desk.at, None, 50)
            assert [row.request.id for row in page] == [leave.request.id]
            assert page[0].state(desk.at) is state
        everything = await leaves_page(session, registrar, LeaveSearch(), desk.at, None, 50)
    assert len(everything) == len(made)


# --- what tells of health is sealed, and files go with a request ---


async def test_reason_is_encrypted_and_bound_to_its_row(desk: Desk, owner: Database) -> None:
    keys, day = desk.roll_call_scenario.app_context.keys, HalfDay(desk.today, "morning")
    reason = f"慢性病复查{new_id()}"
    actor = desk.student()
    async with desk.transaction(actor) as session:
        asked = await request_leave(
            session, actor, keys, RequestLeave(LeaveKind.SICK, day, day, reason), desk.next_act()
        )
    assert decrypt_reason(keys, asked.request) == reason
    assert await columns_holding(owner, [reason]) == set()
    other = await desk.ask(first=3)
    other.request.reason_sealed = asked.request.reason_sealed
    with pytest.raises(InvalidTag):
        decrypt_reason(keys, other.request)


async def test_attachments_are_shown_with_the_request(desk: Desk) -> None:
    app_context, actor, pupil = desk.roll_call_scenario.app_context, desk.student(), desk.pupil
    day, scan = HalfDay(desk.today, "morning"), Content("application/pdf", b"%PDF-1.7 %%EOF")
    file = await receive(app_context, actor, pupil.id, scan, desk.at)
    command = RequestLeave(LeaveKind.SICK, day, day, "发烧就医", (file.id,))
    async with desk.transaction(actor) as session:
        asked = await request_leave(session, actor, app_context.keys, command, desk.next_act())
    async with desk.transaction(desk.counselor) as session:
        (out,) = await leaves_out(session, app_context.keys, [asked], desk.at)
    assert ([each.id for each in out.attachments], out.reason) == ([file.id], "发烧就医")
    later = replace(command, first=replace(day, half="afternoon"), last=HalfDay(desk.today, "afternoon"))
    with pytest.raises(AttachmentUnusable):
        async with desk.transaction(actor) as session:
            await request_leave(session, actor, app_context.keys, later, desk.next_act())


# --- the student's turn ---


async def test_acts_are_stamped_after_earlier_assessments_of_the_student(
    desk: Desk,
) -> None:
    """A clock that lags, as a second server's may, slips no fact behind a judgement that did not know of it."""
    ahead = desk.at + timedelta(seconds=5)
    async with desk.roll_call_scenario.owner_transaction() as session:
        await lock_student(session, desk.pupil.id, ahead)
    asked = await desk.ask(first=1)
    decided = await desk.decide(asked)
    cancelled = await desk.cancel(asked, desk.roll_call_scenario.registrar)
    assert decided.decision is not None
    assert cancelled.cancellation is not None
    instants = [
        ahead,
        asked.request.filed_at,
        decided.decision.decided_at,
        cancelled.cancellation.cancelled_at,
    ]
    assert instants == sorted(set(instants))


async def test_act_on_leave_waits_for_the_student_lock(desk: Desk) -> None:
    asked = await desk.ask(first=1)
    async with desk.roll_call_scenario.owner_transaction() as session:
        turn = await lock_student(session, desk.pupil.id, desk.at)
        deciding = asyncio.create_task(desk.decide(asked))
        await desk.roll_call_scenario.wait_for_lock("transactionid", "tuple")
        assert not deciding.done()
    decided = await deciding
    assert decided.decision is not None
    assert decided.decision.decided_at > turn


async def test_caller_without_access_does_not_take_the_student_lock(desk: Desk) -> None:
    asked = await desk.ask(first=1)
    async with desk.roll_call_scenario.owner_transaction() as session:
        await lock_student(session, desk.pupil.id, desk.at)
        with pytest.raises(NotFound):
            await desk.decide(asked, actor=desk.colleague)
