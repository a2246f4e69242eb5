"""Notices about the replacement of an enrolled face. None contains a picture."""

from datetime import datetime
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.events import FaceReplacementDecided, FaceReplacementRequested, FaceReplacementSeen
from backend.identity.face.review import texts
from backend.identity.recipients import AUTHORITY_ROLES, counselors_of_student, registrars, select_staff
from backend.identity.tables import Account
from backend.notice.messages import (
    IN_APP,
    IN_APP_AND_SMS,
    Message,
    NoticeText,
    SmsText,
    StudentRecipient,
)
from backend.notice.service import post_notice, post_notices
from backend.org.paths import superior_paths
from backend.people.tables import Student


async def notify_replacement_requested(
    session: AsyncSession, event: FaceReplacementRequested, at: datetime
) -> None:
    """Ask the school to compare the student in person with the new pictures, and warn the student."""
    ask = _message(event, "face_replacement_requested", texts.REPLACEMENT_TO_STAFF)
    for staff in (registrars(event.school_id), counselors_of_student(event.student_id)):
        await post_notices(session, staff, ask, IN_APP, at)
    sms = texts.submitted_sms(at)
    warning = _message(event, "face_replacement_submitted", texts.SUBMITTED_TO_STUDENT, sms)
    await _notify_student(session, event, warning, at)


async def notify_replacement_seen(session: AsyncSession, event: FaceReplacementSeen, at: datetime) -> None:
    """Ask the superior to answer next; runs in the superior's scope."""
    ask = _message(event, "face_replacement_seen", texts.REPLACEMENT_TO_SUPERIOR)
    superior = superior_paths(event.path)[1]
    staff = select_staff(Account.kind.in_(AUTHORITY_ROLES), Account.org_path == superior)
    await post_notices(session, staff, ask, IN_APP, at)


async def notify_replacement_decided(
    session: AsyncSession, event: FaceReplacementDecided, at: datetime
) -> None:
    """Tell the student the result."""
    text = texts.APPROVED_TO_STUDENT if event.approved else texts.REFUSED_TO_STUDENT
    await _notify_student(session, event, _message(event, "face_replacement_decided", text), at)


def _message(
    event: FaceReplacementRequested, kind: str, text: NoticeText, sms: SmsText | None = None
) -> Message:
    links = {"enrolment_id": event.enrolment_id}
    return Message.of(kind, uuid5(event.enrolment_id, kind), text, links, sms)


async def _notify_student(
    session: AsyncSession, event: FaceReplacementRequested, message: Message, at: datetime
) -> None:
    student = await session.get_one(Student, event.student_id)
    recipient = StudentRecipient(student.id, student.school_id, phone=student.phone)
    channels = IN_APP if message.sms is None else IN_APP_AND_SMS
    await post_notice(session, recipient, message, channels, at)
