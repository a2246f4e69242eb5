"""Notices about a roll call to students, registrars and counselors (HN334-3.4).

They are posted in the transaction that records them as sent.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import NotFound
from backend.identity.recipients import Recipients, counselors, registrars
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, IN_APP_AND_SMS, Channel, Message, NoticeText
from backend.notice.service import post_notices
from backend.people.tables import ClassCounselor, Student
from backend.roll_call.events import RemindersSent, RollCallExtended, RollCallLaunched, RollCallVoided
from backend.roll_call.launch import texts
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


def _student_message(roll_call: RollCall) -> Message:
    text = texts.launched_to_student(roll_call.kind, roll_call.title, roll_call.opens_at, roll_call.deadline)
    return _build_message("roll_call_launched", roll_call, text, with_sms=True)


def _staff_message(roll_call: RollCall) -> Message:
    text = texts.launched_to_staff(roll_call.kind, roll_call.title, roll_call.opens_at, roll_call.deadline)
    return _build_message("roll_call_launched_staff", roll_call, text)


def _build_message(kind: str, roll_call: RollCall, text: NoticeText, *, with_sms: bool = False) -> Message:
    sms = texts.sms(roll_call.title, roll_call.deadline) if with_sms else None
    return Message.of(kind, roll_call.id, text, {"roll_call_id": roll_call.id}, sms)


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
    students = (
        select(Obligation.student_id, Obligation.school_id, Student.phone)
        .join(Student, Student.id == Obligation.student_id)
        .where(is_owed_and_not_present(roll_call.id), Obligation.school_id == reminder.school_id)
    )
    if reminder.class_id is not None:
        students = students.where(Obligation.class_id == reminder.class_id)
    if reminder.student_ids is not None:
        students = students.where(Obligation.student_id.in_(reminder.student_ids))
    else:
        students = students.where(Obligation.student_id.not_in(await _load_reminded_alone(session, reminder)))
    if event.counselor_id is not None:
        own_classes = select(ClassCounselor.class_id).where(
            ClassCounselor.counselor_id == event.counselor_id, ClassCounselor.until.is_(None)
        )
        students = students.where(Obligation.class_id.in_(own_classes))
    text = texts.reminder_to_student(roll_call.title, roll_call.deadline)
    message = _build_message("roll_call_urged", roll_call, text, with_sms=True)
    return await post_notices(session, students, message, ("in_app", "sms"), at)


async def _load_reminded_alone(session: AsyncSession, reminder: Reminder) -> set[UUID]:
    """The students who were reminded alone shortly before a reminder of their class."""
    roll_call = await session.get_one(RollCall, reminder.roll_call_id)
    interval = roll_call_policy(roll_call).duration("notice.urge_interval")
    lists = await session.scalars(
        select(Reminder.student_ids).where(
            Reminder.term_code == reminder.term_code,
            Reminder.roll_call_id == reminder.roll_call_id,
            Reminder.school_id == reminder.school_id,
            Reminder.student_ids.is_not(None),
            Reminder.at > reminder.at - interval,
            Reminder.at <= reminder.at,
        )
    )
    return {student_id for those in lists for student_id in those or ()}


async def notify_voided(session: AsyncSession, event: RollCallVoided, at: datetime) -> int:
    """Notify everyone who was notified of the roll call that it is voided, with the reason.

    A roll call that was not announced yet stays secret.
    """
    roll_call = await session.get_one(RollCall, event.roll_call_id)
    if await session.get(RollCallStep, (event.roll_call_id, "announced")) is None:
        return 0
    voided = await session.get_one(RollCallStep, (event.roll_call_id, "voided"))
    text = texts.voided_to_student(roll_call.title, voided.reason or "")
    message = _build_message("roll_call_voided", roll_call, text)
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
    text = texts.extended_to_student(roll_call.title, roll_call.deadline)
    message = _build_message("roll_call_extended", roll_call, text, with_sms=True)
    students = (
        select(Obligation.student_id, Obligation.school_id, Student.phone)
        .join(Student, Student.id == Obligation.student_id)
        .where(is_owed_and_not_present(roll_call.id))
    )
    return await _post_to_all(
        session, event.roll_call_id, students, message, _student_channels(roll_call), at
    )
