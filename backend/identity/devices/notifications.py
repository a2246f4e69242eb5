"""Notices about a student's phone: to the student, the counselor and the registrar."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.devices import texts
from backend.identity.events import (
    CoolDownActRecorded,
    DeviceRebound,
    RebindingObjected,
    RebindingRequested,
    RegistrationCodesExhausted,
)
from backend.identity.recipients import counselors_of_student, registrars
from backend.notice.messages import IN_APP, IN_APP_AND_SMS, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices
from backend.people.tables import Student


async def notify_rebound(session: AsyncSession, event: DeviceRebound, at: datetime) -> None:
    """Notify the student in the app and by SMS, so that a takeover of the phone number is noticed."""
    student = await session.get_one(Student, event.student_id)
    recipient = StudentRecipient(student.id, student.school_id, phone=student.phone)
    message = Message.of(
        "device_rebound", event.device_id, texts.REBOUND_TO_STUDENT, {}, texts.rebound_sms(at)
    )
    await post_notice(session, recipient, message, IN_APP_AND_SMS, at)


async def notify_rebinding_requested(session: AsyncSession, event: RebindingRequested, at: datetime) -> None:
    """Tell the student in the app, which is still bound on the present phone."""
    recipient = StudentRecipient(event.student_id, event.school_id)
    text = texts.REBINDING_REQUESTED_TO_STUDENT
    message = Message.of("rebinding_requested", event.registration_id, text, {})
    await post_notice(session, recipient, message, IN_APP, at)


async def notify_cool_down_act(session: AsyncSession, event: CoolDownActRecorded, at: datetime) -> None:
    """Tell the counselor what the student did on a new phone, to ask whether it was the student."""
    student = await session.get_one(Student, event.student_id)
    text = texts.cool_down_act_to_staff(student.name, event.kind)
    message = Message.of("cool_down_act", event.act_id, text, {"student_id": event.student_id})
    await post_notices(session, counselors_of_student(event.student_id), message, IN_APP, at)


async def notify_objection(session: AsyncSession, event: RebindingObjected, at: datetime) -> None:
    """Tell the counselor and the registrars that the old phone objects to the new one."""
    student = await session.get_one(Student, event.student_id)
    links = {"student_id": event.student_id, "objection_id": event.objection_id}
    text = texts.objection_to_staff(student.name)
    message = Message.of("rebinding_objected", event.objection_id, text, links)
    for recipients in (counselors_of_student(event.student_id), registrars(event.school_id)):
        await post_notices(session, recipients, message, IN_APP, at)


async def notify_codes_exhausted(
    session: AsyncSession, event: RegistrationCodesExhausted, at: datetime
) -> None:
    """Tell the counselor that no more codes are sent to a student, and what to do if the student asks."""
    student = await session.get_one(Student, event.student_id)
    text = texts.codes_exhausted_to_staff(student.name)
    links = {"student_id": event.student_id}
    message = Message.of("registration_codes_exhausted", event.registration_id, text, links)
    await post_notices(session, counselors_of_student(event.student_id), message, IN_APP, at)
