"""Notices of leave between student and counselor, without reason or name, because other people may see the phone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import NotFound
from backend.identity.recipients import Recipients, counselors_of_student
from backend.leave.events import LeaveCancelled, LeaveDecided, LeaveRequested, LeaveReturned
from backend.leave.queries import Leave, load_leave_balance, select_leaves, stand_ins_of_student
from backend.leave.rules import LeaveBalance
from backend.leave.tables import LeaveRequest
from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices


async def notify_requested(session: AsyncSession, event: LeaveRequested, at: datetime) -> None:
    """Notify the class's counselor and any stand-in of a new request."""
    leave = await load_leave(session, event.leave_id)
    text = _short_message(leave, "leave_requested", ("新的请假申请", "A request for leave"))
    await post_notices(session, _select_counselors(leave, at), text, IN_APP, at)


async def notify_decided(session: AsyncSession, event: LeaveDecided, at: datetime) -> None:
    """Notify the student of the decision and of the leave days of the term."""
    leave = await load_leave(session, event.leave_id)
    assert leave.decision is not None
    zh, en = ("已批准", "approved") if leave.decision.outcome == "approved" else ("未批准", "declined")
    count = await load_leave_balance(
        session, leave.request.student_id, at, legal_day(leave.request.starts_at)
    )
    days_zh, days_en = days_sentence(count)
    opens, closes = format_interval(leave)
    message = Message(
        kind="leave_decided",
        group_id=leave.request.id,
        title_zh=f"请假{zh}",
        title_en=f"Leave {en}",
        body_zh=f"您 {opens} 至 {closes} 的请假{zh}。{days_zh}",
        body_en=f"Your leave from {opens} to {closes} was {en}. {days_en}",
        data={"leave_id": str(leave.request.id)},
    )
    await _notify_student(session, leave, message, at)


async def notify_ended(session: AsyncSession, event: LeaveCancelled | LeaveReturned, at: datetime) -> None:
    """Notify the other side of a return or a cancellation: the counselor if the student acted, else the student."""
    leave = await load_leave(session, event.leave_id)
    if leave.cancellation is not None:
        kind, title = "leave_cancelled", ("请假已撤销", "Leave cancelled")
    else:
        kind, title = "leave_returned", ("已销假", "Return recorded")
    text = _short_message(leave, kind, title)
    if event.by == "student":
        await post_notices(session, _select_counselors(leave, at), text, IN_APP, at)
    else:
        await _notify_student(session, leave, text, at)


def days_sentence(count: LeaveBalance) -> tuple[str, str]:
    """The leave days of the term in Chinese and English, with the applicable warning."""
    used, cap = len(count.used), count.cap
    zh = f"本学期已请假 {used} 天，连同已批准的共 {count.planned} 天，上限 {cap} 天。"
    en = f"Leave this term: {used} days used, {count.planned} with what is approved, {cap} at most."
    if count.over:
        return (
            f"{zh}已超过上限，学校将收到按休学处理的提示。",
            f"{en} The limit is passed: the school is prompted for suspension.",
        )
    if count.plan_exceeds:
        return (
            f"{zh}如不提前返校，将超过上限，按休学处理。",
            f"{en} Unless you return early, the limit will be passed.",
        )
    if count.warning is not None:
        return f"{zh}还剩 {count.left} 天，请留意。", f"{en} {count.left} days are left; take care."
    return zh, en


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


def _short_message(leave: Leave, kind: str, title: tuple[str, str]) -> Message:
    opens, closes = format_interval(leave)
    zh, en = title
    return Message(
        kind=kind,
        group_id=leave.request.id,
        title_zh=zh,
        title_en=en,
        body_zh=f"{zh}：{opens} 至 {closes}。请在应用中查看。",
        body_en=f"{en}: {opens} to {closes}. See the app.",
        data={"leave_id": str(leave.request.id)},
    )


def format_interval(leave: Leave) -> tuple[str, str]:
    """Start and end, formatted in China Standard Time."""
    form = "%Y-%m-%d %H:%M"
    return (
        leave.request.starts_at.astimezone(LEGAL_ZONE).strftime(form),
        leave.request.ends_at.astimezone(LEGAL_ZONE).strftime(form),
    )
