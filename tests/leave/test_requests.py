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
from backend.core.listing.pages import PageRequest
from backend.core.tables import AuditEntry
from backend.leave.errors import (
    LeaveAlreadyDecided,
    LeaveIntervalInvalid,
    LeaveOpinionMissing,
    LeaveOver,
    LeaveOverlaps,
)
from backend.leave.kinds import LeaveKind
from backend.leave.queries import LeaveSearch, load_leaves_page
from backend.leave.reasons import decrypt_reason
from backend.leave.rules import LeaveState
from backend.leave.schemas import leaves_out
from backend.leave.service import Answer, DecideLeave, HalfDay, RequestLeave, decide_leave, request_leave
from backend.leave.tables import LeaveDecision, LeaveRequest
from backend.org.errors import DaysInTwoTerms, TermNotSet
from backend.people.attachment_errors import AttachmentUnusable
from backend.people.attachment_files import FileContent, store_upload
from backend.people.student_lock import lock_student
from tests.support.database_contents import columns_holding
from tests.support.leave import LeaveScenario
from tests.support.province import bureau_account, province_account, registrar_account

pytestmark = pytest.mark.clause("HN334-3.5a")


async def test_request_is_pending_until_approved(scenario: LeaveScenario) -> None:
    asked = await scenario.request(days=2)
    assert asked.state(scenario.at) is LeaveState.PENDING
    assert asked.request.ends_at - asked.request.starts_at == timedelta(days=2)
    decided = await scenario.decide(asked)
    assert decided.state(scenario.at) is LeaveState.APPROVED
    async with scenario.roll_call_scenario.owner_transaction() as session:
        acts = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == str(asked.request.id))
        )
        assert sorted(acts) == ["leave_decided", "leave_requested"]


async def test_half_days_meet_at_noon(scenario: LeaveScenario) -> None:
    morning = await scenario.request(days=1, last_half="morning")
    afternoon = await scenario.request(days=1, first_half="afternoon")
    assert morning.request.ends_at == afternoon.request.starts_at
    with pytest.raises(LeaveIntervalInvalid):
        await scenario.request(first=2, first_half="afternoon", last_half="morning")


async def test_overlapping_request_is_rejected_while_the_first_is_active(scenario: LeaveScenario) -> None:
    first = await scenario.request(first=1, days=3)
    with pytest.raises(LeaveOverlaps):
        await scenario.request(first=3, days=2)
    await scenario.cancel(first)
    again = await scenario.request(first=3, days=2)
    assert again.state(scenario.at) is LeaveState.PENDING


async def test_concurrent_requests_for_the_same_days_reject_one(scenario: LeaveScenario) -> None:
    day = HalfDay(scenario.today, "morning")
    async with scenario.transaction(scenario.student()) as session:
        command = RequestLeave(LeaveKind.SICK, day, day, "发烧就医")
        await request_leave(
            session, scenario.student(), scenario.roll_call_scenario.app_context.keys, command, scenario.at
        )
        second = asyncio.create_task(scenario.request())
        waits = asyncio.create_task(scenario.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    with pytest.raises(LeaveOverlaps):
        await second


async def test_concurrent_act_sees_the_committed_decision(scenario: LeaveScenario) -> None:
    asked = await scenario.request()
    command = DecideLeave(asked.request.id, "approved")
    async with scenario.transaction(scenario.counselor) as session:
        await decide_leave(session, scenario.counselor, command, scenario.at)
        second = asyncio.create_task(scenario.cancel(asked, scenario.roll_call_scenario.registrar))
        waits = asyncio.create_task(scenario.roll_call_scenario.wait_for_lock("transactionid", "tuple"))
        await asyncio.wait({second, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
    cancelled = await second
    assert cancelled.decision is not None
    assert cancelled.state(scenario.at) is LeaveState.CANCELLED


@pytest.mark.parametrize("days", [200, 4000])
async def test_leave_must_lie_in_one_term(scenario: LeaveScenario, days: int) -> None:
    with pytest.raises((DaysInTwoTerms, TermNotSet)):
        await scenario.request(days=days)


async def test_staff_cannot_request_and_students_cannot_decide(scenario: LeaveScenario) -> None:
    asked = await scenario.request()
    with pytest.raises(NotPermitted):
        await scenario.decide(asked, actor=scenario.student())


async def test_deciding_an_own_request_violates_a_constraint(scenario: LeaveScenario) -> None:
    asked = await scenario.request()
    request = asked.request
    row = LeaveDecision(
        leave_id=request.id,
        school_id=request.school_id,
        student_id=request.student_id,
        outcome="approved",
        opinion=None,
        filed_by=request.filed_by,
        decided_by=request.filed_by,
        represented_counselor_id=None,
        decided_at=scenario.at,
    )
    with pytest.raises(IntegrityError, match="by_another_account"):
        async with scenario.roll_call_scenario.owner_transaction() as session:
            session.add(row)


async def test_request_is_decided_once(scenario: LeaveScenario) -> None:
    asked = await scenario.request()
    await scenario.decide(asked)
    answers: tuple[Answer, ...] = ("approved", "declined")
    for again in answers:
        with pytest.raises(LeaveAlreadyDecided):
            await scenario.decide(asked, again, scenario.roll_call_scenario.registrar, "证明不全")


async def test_declining_requires_an_opinion_and_ends_the_request(scenario: LeaveScenario) -> None:
    asked = await scenario.request()
    with pytest.raises(LeaveOpinionMissing):
        await scenario.decide(asked, "declined")
    declined = await scenario.decide(asked, "declined", opinion="证明不全")
    assert declined.state(scenario.at) is LeaveState.REFUSED
    with pytest.raises(LeaveOver):
        await scenario.cancel(asked)
    with pytest.raises(LeaveOver):
        await scenario.return_from(asked)


async def test_cancelled_request_cannot_be_approved(scenario: LeaveScenario) -> None:
    asked = await scenario.request()
    await scenario.cancel(asked)
    with pytest.raises(LeaveOver):
        await scenario.decide(asked)


@pytest.mark.clause("HN334-2.3")
async def test_leave_of_others_is_not_found(scenario: LeaveScenario) -> None:
    asked = await scenario.request()
    world = scenario.roll_call_scenario.world
    classmate = scenario.student(scenario.school.classes[0].students[1])
    strangers: list[Actor] = [scenario.colleague, registrar_account(world.sister)]
    strangers += [bureau_account(world.city), province_account(world.province)]
    for stranger in strangers:
        with pytest.raises(NotFound):
            await scenario.decide(asked, actor=stranger)
    for stranger in [*strangers, classmate]:
        with pytest.raises(NotFound):
            await scenario.cancel(asked, stranger)
        with pytest.raises(NotFound):
            await scenario.return_from(asked, stranger)


async def test_database_rejects_a_request_for_another_student(scenario: LeaveScenario) -> None:
    other = scenario.school.classes[0].students[1]
    row = LeaveRequest(
        id=new_id(),
        school_id=other.school_id,
        student_id=other.id,
        kind="sick",
        starts_at=scenario.at,
        ends_at=scenario.at + timedelta(days=1),
        reason_sealed=b"sealed",
        filed_by=new_id(),
        filed_at=scenario.at,
    )
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with scenario.transaction(scenario.student()) as session:
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
async def test_leave_rows_cannot_be_updated_or_deleted(
    scenario: LeaveScenario, table: str, statement: str
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with scenario.transaction(scenario.roll_call_scenario.registrar) as session:
            await session.execute(text(statement.format(table)))


# --- notices ---


async def test_counselor_and_student_are_notified_with_the_days(
    scenario: LeaveScenario,
) -> None:
    counselor = await scenario.roll_call_scenario.account(
        "counselor", scenario.school, scenario.school.classes[0]
    )
    colleague = await scenario.roll_call_scenario.account(
        "counselor", scenario.school, scenario.school.classes[1]
    )
    asked = await scenario.request(days=14)
    await scenario.deliver_event("LeaveRequested", asked)
    await scenario.deliver_event("LeaveRequested", asked)
    assert [(kind, who) for kind, who, _ in await scenario.notices_of(asked)] == [
        ("leave_requested", counselor.account_id)
    ]
    await scenario.name_stand_in(colleague)
    await scenario.decide(asked)
    await scenario.deliver_event("LeaveDecided", asked)
    ((who, told),) = [
        (who, text) for kind, who, text in await scenario.notices_of(asked) if kind == "leave_decided"
    ]
    assert who == scenario.pupil.id
    assert "共 14 天，上限 15 天" in told
    assert "发烧" not in told
    await scenario.return_from(asked)
    await scenario.deliver_event("LeaveReturned", asked)
    ended = {who for kind, who, _ in await scenario.notices_of(asked) if kind == "leave_returned"}
    assert ended == {counselor.account_id, colleague.account_id}


async def test_student_is_notified_when_staff_cancel(scenario: LeaveScenario) -> None:
    leave = await scenario.request_approved(days=2)
    await scenario.cancel(leave, scenario.counselor)
    await scenario.deliver_event("LeaveCancelled", leave)
    assert [(kind, who) for kind, who, _ in await scenario.notices_of(leave)] == [
        ("leave_cancelled", scenario.pupil.id)
    ]


# --- lists ---


async def test_list_filters_by_the_state_of_the_rules(scenario: LeaveScenario) -> None:
    pupils = scenario.school.students
    made = {
        LeaveState.PENDING: await scenario.request(pupil=pupils[0]),
        LeaveState.APPROVED: await scenario.request_approved(pupil=pupils[1]),
        LeaveState.RETURNED: await scenario.return_from(
            await scenario.request_approved(pupil=pupils[2]), scenario.roll_call_scenario.registrar
        ),
        LeaveState.CANCELLED: await scenario.cancel(
            await scenario.request_approved(pupil=pupils[3]), scenario.roll_call_scenario.registrar
        ),
        LeaveState.REFUSED: await scenario.decide(
            await scenario.request(pupil=pupils[4]),
            "declined",
            scenario.roll_call_scenario.registrar,
            "证明不全",
        ),
    }
    registrar = scenario.roll_call_scenario.registrar
    async with scenario.transaction(registrar) as session:
        for state, leave in made.items():
            page = (
                await load_leaves_page(session, registrar, LeaveSearch(state), scenario.at, PageRequest(50))
            ).rows
            assert [row.request.id for row in page] == [leave.request.id]
            assert page[0].state(scenario.at) is state
        everything = (
            await load_leaves_page(session, registrar, LeaveSearch(), scenario.at, PageRequest(50))
        ).rows
    assert len(everything) == len(made)


# --- what tells of health is sealed, and files go with a request ---


async def test_reason_is_encrypted_and_bound_to_its_row(scenario: LeaveScenario, owner: Database) -> None:
    keys, day = scenario.roll_call_scenario.app_context.keys, HalfDay(scenario.today, "morning")
    reason = f"慢性病复查{new_id()}"
    actor = scenario.student()
    async with scenario.transaction(actor) as session:
        asked = await request_leave(
            session, actor, keys, RequestLeave(LeaveKind.SICK, day, day, reason), scenario.next_act()
        )
    assert decrypt_reason(keys, asked.request) == reason
    assert await columns_holding(owner, [reason]) == set()
    other = await scenario.request(first=3)
    other.request.reason_sealed = asked.request.reason_sealed
    with pytest.raises(InvalidTag):
        decrypt_reason(keys, other.request)


async def test_attachments_are_shown_with_the_request(scenario: LeaveScenario) -> None:
    app_context, actor, pupil = scenario.roll_call_scenario.app_context, scenario.student(), scenario.pupil
    day, scan = HalfDay(scenario.today, "morning"), FileContent("application/pdf", b"%PDF-1.7 %%EOF")
    file = await store_upload(app_context, actor, pupil.id, scan, scenario.at)
    command = RequestLeave(LeaveKind.SICK, day, day, "发烧就医", (file.id,))
    async with scenario.transaction(actor) as session:
        asked = await request_leave(session, actor, app_context.keys, command, scenario.next_act())
    async with scenario.transaction(scenario.counselor) as session:
        (out,) = await leaves_out(session, app_context.keys, [asked], scenario.at)
    assert ([each.id for each in out.attachments], out.reason) == ([file.id], "发烧就医")
    later = replace(command, first=replace(day, half="afternoon"), last=HalfDay(scenario.today, "afternoon"))
    with pytest.raises(AttachmentUnusable):
        async with scenario.transaction(actor) as session:
            await request_leave(session, actor, app_context.keys, later, scenario.next_act())


# --- the student's turn ---


async def test_acts_are_stamped_after_earlier_assessments_of_the_student(
    scenario: LeaveScenario,
) -> None:
    """A clock that lags, as a second server's may, slips no fact behind a judgement that did not know of it."""
    ahead = scenario.at + timedelta(seconds=5)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await lock_student(session, scenario.pupil.id, ahead)
    asked = await scenario.request(first=1)
    decided = await scenario.decide(asked)
    cancelled = await scenario.cancel(asked, scenario.roll_call_scenario.registrar)
    assert decided.decision is not None
    assert cancelled.cancellation is not None
    instants = [
        ahead,
        asked.request.filed_at,
        decided.decision.decided_at,
        cancelled.cancellation.cancelled_at,
    ]
    assert instants == sorted(set(instants))


async def test_act_on_leave_waits_for_the_student_lock(scenario: LeaveScenario) -> None:
    asked = await scenario.request(first=1)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        turn = await lock_student(session, scenario.pupil.id, scenario.at)
        deciding = asyncio.create_task(scenario.decide(asked))
        await scenario.roll_call_scenario.wait_for_lock("transactionid", "tuple")
        assert not deciding.done()
    decided = await deciding
    assert decided.decision is not None
    assert decided.decision.decided_at > turn


async def test_caller_without_access_does_not_take_the_student_lock(scenario: LeaveScenario) -> None:
    asked = await scenario.request(first=1)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await lock_student(session, scenario.pupil.id, scenario.at)
        with pytest.raises(NotFound):
            await scenario.decide(asked, actor=scenario.colleague)
