"""Notices of leave between student and counselor, without reason or name, because other people may see the phone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import Bilingual
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.identity.recipients import Recipients, counselors_of_student
from backend.leave import texts
from backend.leave.events import LeaveCancelled, LeaveDecided, LeaveRequested, LeaveReturned
from backend.leave.queries import Leave, load_leave_balance, select_leaves, stand_ins_of_student
from backend.leave.tables import LeaveRequest
from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices


async def notify_requested(session: AsyncSession, event: LeaveRequested, at: datetime) -> None:
    """Notify the class's counselor and any stand-in of a new request."""
    leave = await load_leave(session, event.leave_id)
    text = _short_message(leave, "leave_requested", texts.REQUESTED)
    await post_notices(session, _select_counselors(leave, at), text, IN_APP, at)


async def notify_decided(session: AsyncSession, event: LeaveDecided, at: datetime) -> None:
    """Notify the student of the decision and of the leave days of the term."""
    leave = await load_leave(session, event.leave_id)
    assert leave.decision is not None
    count = await load_leave_balance(
        session, leave.request.student_id, at, legal_day(leave.request.starts_at)
    )
    text = texts.decided_to_student(
        approved=leave.decision.outcome == "approved",
        opens=leave.request.starts_at,
        closes=leave.request.ends_at,
        balance=count,
    )
    message = Message.of("leave_decided", leave.request.id, text, {"leave_id": leave.request.id})
    await _notify_student(session, leave, message, at)


async def notify_ended(session: AsyncSession, event: LeaveCancelled | LeaveReturned, at: datetime) -> None:
    """Notify the other side of a return or a cancellation: the counselor if the student acted, else the student."""
    leave = await load_leave(session, event.leave_id)
    if leave.cancellation is not None:
        kind, title = "leave_cancelled", texts.CANCELLED
    else:
        kind, title = "leave_returned", texts.RETURNED
    text = _short_message(leave, kind, title)
    if event.by == "student":
        await post_notices(session, _select_counselors(leave, at), text, IN_APP, at)
    else:
        await _notify_student(session, leave, text, at)


async def load_leave(session: AsyncSession, leave_id: UUID) -> Leave:
    """Load the leave named by an event; raises `NotFound`."""
    row = (await session.execute(select_leaves().where(LeaveRequest.id == leave_id))).one_or_none()
    if row is None:
        raise NotFound
    return Leave(*row)


def _select_counselors(leave: Leave, at: datetime) -> Recipients:
    student_id = leave.request.student_id
    return counselors_of_student(student_id, stand_ins_of_student(student_id, at))


async def _notify_student(session: AsyncSession, leave: Leave, message: Message, at: datetime) -> None:
    recipient = StudentRecipient(leave.request.student_id, leave.request.school_id)
    await post_notice(session, recipient, message, IN_APP, at)


def _short_message(leave: Leave, kind: str, title: Bilingual) -> Message:
    text = texts.short(title, leave.request.starts_at, leave.request.ends_at)
    return Message.of(kind, leave.request.id, text, {"leave_id": leave.request.id})
