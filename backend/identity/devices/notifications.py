"""Notices about a student's device."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import LEGAL_ZONE
from backend.identity.events import DeviceRebound
from backend.notice.messages import IN_APP_AND_SMS, Message, SmsText, StudentRecipient
from backend.notice.service import post_notice
from backend.people.tables import Student


async def notify_rebound(session: AsyncSession, event: DeviceRebound, at: datetime) -> None:
    """Notify the student in the app and by SMS, so that a takeover of the phone number is noticed."""
    student = await session.get_one(Student, event.student_id)
    recipient = StudentRecipient(student.id, student.school_id, phone=student.phone)
    message = Message(
        kind="device_rebound",
        group_id=event.device_id,
        title_zh="已换绑手机",
        title_en="Your account moved to another phone",
        body_zh="您的账号已绑定到另一部手机。如非本人操作，请立即联系辅导员。",
        body_en="Your account is now bound to another phone. If this was not you, tell your counselor at once.",
        sms=SmsText(
            "notice", {"title": "换绑手机", "until": at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")}
        ),
    )
    await post_notice(session, recipient, message, IN_APP_AND_SMS, at)
