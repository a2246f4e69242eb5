"""Notices about a roll call to students, registrars and counselors (HN334-3.4).

They are posted in the transaction that records them as sent.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound
from backend.identity.recipients import Recipients, counselors, registrars
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, IN_APP_AND_SMS, Channel, Message, SmsText
from backend.notice.service import post_notices
from backend.people.tables import ClassCounselor, Student
from backend.roll_call.events import RemindersSent, RollCallExtended, RollCallLaunched, RollCallVoided
from backend.roll_call.outcomes import is_owed_and_not_present, lock_roll_call_shared, roll_call_term
from backend.roll_call.policy import max_arrival_jitter, roll_call_policy
from backend.roll_call.rules import SPOT_CHECK
from backend.roll_call.tables import (
    Obligation,
    Reminder,
    RollCall,
    RollCallClass,
    RollCallSchool,
    RollCallStep,
)

_KIND_ZH = {
    "spot_check": "学籍核验",
    "registration": "注册核验",
    "rehearsal": "联调测试",
    "school_own": "校内点名",
}


async def announce_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> int:
    """Post the notices of a launched roll call when they are due, and only once. Returns the number of recipients.

    A roll call that was voided, settled or closed before its notice is not announced, because it is too late to react.
    """
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None:
        raise NotFound
    await lock_roll_call_shared(session, roll_call_id)
    ended = exists().where(
        RollCallStep.roll_call_id == roll_call_id, RollCallStep.step.in_(("voided", "settled"))
    )
    step = (
        insert(RollCallStep)
        .values(
            roll_call_id=roll_call_id,
            step="announced",
            acting_account=None,
            reason=None,
            figures=None,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(RollCallStep.step)
    )
    is_due = roll_call.notify_at <= at <= roll_call.deadline
    if not is_due or await session.scalar(select(ended)) or await session.scalar(step) is None:
        return 0
    recipients = roll_call_policy(roll_call).texts("roll_call.notice.recipients")
    sent = 0
    if "student" in recipients:
        students = (
            select(Obligation.student_id, Obligation.school_id, Student.phone)
            .join(Student, Student.id == Obligation.student_id)
            .where(
                Obligation.term_code == roll_call.term_code,
                Obligation.roll_call_id == roll_call_id,
                Obligation.duty != "exempt",
            )
        )
        message, channels = _student_message(roll_call), _student_channels(roll_call)
        sent += await post_notices(session, students, message, channels, at, max_arrival_jitter(roll_call))
    staff_message = _staff_message(roll_call)
    if "registrar" in recipients:
        sent += await post_notices(
            session, registrars(_audience_schools(roll_call_id)), staff_message, IN_APP, at
        )
    if "counselor" in recipients:
        sent += await post_notices(session, _audience_counselors(roll_call_id), staff_message, IN_APP, at)
    return sent


def _student_channels(roll_call: RollCall) -> tuple[Channel, ...]:
    """Spot checks also go out by SMS."""
    return IN_APP_AND_SMS if roll_call.kind == SPOT_CHECK else IN_APP


def _audience_schools(roll_call_id: UUID) -> Select[UUID]:
    return select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call_id)


def _audience_counselors(roll_call_id: UUID) -> Recipients:
    has_class_in_audience = exists().where(
        ClassCounselor.counselor_id == Account.counselor_id,
        ClassCounselor.until.is_(None),
        RollCallClass.class_id == ClassCounselor.class_id,
        RollCallClass.term_code == roll_call_term(roll_call_id),
        RollCallClass.roll_call_id == roll_call_id,
        RollCallClass.school_id == Account.school_id,
    )
    return counselors(has_class_in_audience)


def _format_window(roll_call: RollCall) -> tuple[str, str]:
    pattern = "%Y-%m-%d %H:%M"
    return (
        roll_call.opens_at.astimezone(LEGAL_ZONE).strftime(pattern),
        roll_call.deadline.astimezone(LEGAL_ZONE).strftime(pattern),
    )


def _student_message(roll_call: RollCall) -> Message:
    opens, closes = _format_window(roll_call)
    name = _KIND_ZH[roll_call.kind]
    zh = f"{name}“{roll_call.title}”：请于 {opens} 至 {closes} 在学校备案办学地址内打开应用完成核验。"
    en = f"Roll call “{roll_call.title}”: verify in the app inside your school's filed address, {opens} to {closes}."
    return Message(
        kind="roll_call_launched",
        group_id=roll_call.id,
        title_zh=f"{name}通知",
        title_en="Roll call",
        body_zh=zh,
        body_en=en,
        data={"roll_call_id": str(roll_call.id)},
        sms=SmsText("notice", {"title": roll_call.title[:20], "until": closes}),
    )


def _staff_message(roll_call: RollCall) -> Message:
    opens, closes = _format_window(roll_call)
    name = _KIND_ZH[roll_call.kind]
    return Message(
        kind="roll_call_launched_staff",
        group_id=roll_call.id,
        title_zh=f"{name}通知",
        title_en="Roll call",
        body_zh=f"{name}“{roll_call.title}”将于 {opens} 至 {closes} 进行，请督促所负责的学生按时完成。",
        body_en=f"Roll call “{roll_call.title}” runs from {opens} to {closes}; please make sure that your students take part.",
        data={"roll_call_id": str(roll_call.id)},
    )


async def announce_launched(session: AsyncSession, event: RollCallLaunched, at: datetime) -> int:
    """Announce a launched roll call if its notice is already due; otherwise a scheduled task does it later."""
    return await announce_roll_call(session, event.roll_call_id, at)


async def post_reminder(session: AsyncSession, event: RemindersSent, at: datetime) -> int:
    """Post the notices of a reminder to the students who are still not present. None are sent after the close."""
    reminder = await session.get_one(Reminder, event.reminder_id)
    roll_call = await session.get_one(RollCall, reminder.roll_call_id)
    voided = await session.get(RollCallStep, (roll_call.id, "voided"))
    if voided is not None or at > roll_call.deadline:
        return 0
    _, closes = _format_window(roll_call)
    students = (
        select(Obligation.student_id, Obligation.school_id, Student.phone)
        .join(Student, Student.id == Obligation.student_id)
        .where(is_owed_and_not_present(roll_call.id), Obligation.school_id == reminder.school_id)
    )
    if reminder.class_id is not None:
        students = students.where(Obligation.class_id == reminder.class_id)
    if event.counselor_id is not None:
        own_classes = select(ClassCounselor.class_id).where(
            ClassCounselor.counselor_id == event.counselor_id, ClassCounselor.until.is_(None)
        )
        students = students.where(Obligation.class_id.in_(own_classes))
    message = Message(
        kind="roll_call_urged",
        group_id=roll_call.id,
        title_zh="核验提醒",
        title_en="Reminder",
        body_zh=f"您尚未完成核验“{roll_call.title}”，截止时间 {closes}。",
        body_en=f"You have not yet taken part in “{roll_call.title}”; it closes at {closes}.",
        data={"roll_call_id": str(roll_call.id)},
        sms=SmsText("notice", {"title": roll_call.title[:20], "until": closes}),
    )
    return await post_notices(session, students, message, ("in_app", "sms"), at)


async def notify_voided(session: AsyncSession, event: RollCallVoided, at: datetime) -> int:
    """Notify everyone who was notified of the roll call that it is voided, with the reason.

    A roll call that was not announced yet stays secret.
    """
    roll_call = await session.get_one(RollCall, event.roll_call_id)
    if await session.get(RollCallStep, (event.roll_call_id, "announced")) is None:
        return 0
    voided = await session.get_one(RollCallStep, (event.roll_call_id, "voided"))
    message = Message(
        kind="roll_call_voided",
        group_id=roll_call.id,
        title_zh="核验作废",
        title_en="Roll call voided",
        body_zh=f"核验“{roll_call.title}”已作废：{voided.reason}。您无须操作，也不会因此记为未核验。",
        body_en=f"Roll call “{roll_call.title}” was voided: {voided.reason}. You do not need to do anything, and it does not count as missed.",
        data={"event.roll_call_id": str(roll_call.id)},
    )
    students = select(Obligation.student_id, Obligation.school_id).where(
        Obligation.term_code == roll_call.term_code,
        Obligation.roll_call_id == event.roll_call_id,
        Obligation.duty != "exempt",
    )
    return await _post_to_all(session, event.roll_call_id, students, message, IN_APP, at)


async def _post_to_all(
    session: AsyncSession,
    roll_call_id: UUID,
    students: Select[*tuple[Any, ...]],
    message: Message,
    student_channels: tuple[Channel, ...],
    at: datetime,
) -> int:
    """Post a message to students and, in the app, to the registrars and counselors of the audience."""
    sent = await post_notices(session, students, message, student_channels, at)
    for staff in (registrars(_audience_schools(roll_call_id)), _audience_counselors(roll_call_id)):
        sent += await post_notices(session, staff, message, IN_APP, at)
    return sent


async def notify_extended(session: AsyncSession, event: RollCallExtended, at: datetime) -> int:
    """Notify staff and the students who are not present yet of the new close. None are sent once that has passed."""
    roll_call = await session.get_one(RollCall, event.roll_call_id)
    if await session.get(RollCallStep, (event.roll_call_id, "announced")) is None or at > roll_call.deadline:
        return 0
    _, closes = _format_window(roll_call)
    message = Message(
        kind="roll_call_extended",
        group_id=roll_call.id,
        title_zh="核验时间延长",
        title_en="Roll call extended",
        body_zh=f"因系统中断，核验“{roll_call.title}”延长至 {closes}。尚未完成的请在此之前完成。",
        body_en=f"Because of a service outage, roll call “{roll_call.title}” stays open until {closes}.",
        data={"event.roll_call_id": str(roll_call.id)},
        sms=SmsText("notice", {"title": roll_call.title[:20], "until": closes}),
    )
    students = (
        select(Obligation.student_id, Obligation.school_id, Student.phone)
        .join(Student, Student.id == Obligation.student_id)
        .where(is_owed_and_not_present(roll_call.id))
    )
    return await _post_to_all(
        session, event.roll_call_id, students, message, _student_channels(roll_call), at
    )
