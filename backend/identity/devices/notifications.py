"""Notices about a student's device."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.devices import texts
from backend.identity.events import DeviceRebound
from backend.notice.messages import IN_APP_AND_SMS, Message, StudentRecipient
from backend.notice.service import post_notice
from backend.people.tables import Student


async def notify_rebound(session: AsyncSession, event: DeviceRebound, at: datetime) -> None:
    """Notify the student in the app and by SMS, so that a takeover of the phone number is noticed."""
    student = await session.get_one(Student, event.student_id)
    recipient = StudentRecipient(student.id, student.school_id, phone=student.phone)
    message = Message.of(
        "device_rebound", event.device_id, texts.REBOUND_TO_STUDENT, {}, texts.rebound_sms(at)
    )
    await post_notice(session, recipient, message, IN_APP_AND_SMS, at)
