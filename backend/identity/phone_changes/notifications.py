"""Notices of phone changes; the texts are in `texts.py`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.phone_changes import texts
from backend.identity.phone_changes.events import PhoneChangeDecided, PhoneChangesProposed
from backend.identity.phone_changes.rules import PhoneChangeState
from backend.identity.recipients import AUTHORITY_ROLES, registrars, select_staff
from backend.identity.tables import Account, PhoneChange
from backend.notice.messages import IN_APP, IN_APP_AND_SMS, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices, post_sms
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit


async def warn_proposed(session: AsyncSession, event: PhoneChangesProposed, at: datetime) -> None:
    """Ask the students in the app for an answer, and warn the old numbers by SMS."""
    message = Message.of(
        "phone_change_proposed", event.batch_id, texts.PROPOSED_TO_STUDENT, {}, texts.WARNING
    )
    students = select(
        PhoneChange.student_id, PhoneChange.school_id, PhoneChange.old_phone.label("phone")
    ).where(PhoneChange.batch_id == event.batch_id)
    await post_notices(session, students, message, IN_APP_AND_SMS, at)


async def notify_superior_proposed(session: AsyncSession, event: PhoneChangesProposed, at: datetime) -> None:
    """Tell the superior how many numbers its school wants to change."""
    school = await session.get_one(OrgUnit, event.school_id)
    text = texts.proposed_to_superior(school.name, event.students)
    message = Message.of("phone_changes_proposed", event.batch_id, text, {"school_id": event.school_id})
    superiors = select_staff(
        Account.kind.in_(AUTHORITY_ROLES), Account.org_path == superior_paths(event.path)[1]
    )
    await post_notices(session, superiors, message, IN_APP, at)


async def notify_decided(session: AsyncSession, event: PhoneChangeDecided, at: datetime) -> None:
    """Tell the student and the registrars how a proposal ended; a replaced one has a notice of its own."""
    state = PhoneChangeState(event.state)
    if state not in texts.END_PHRASES:
        return
    kind, text = f"phone_change_{state.value}", texts.decided_to_student(state)
    message = Message.of(kind, event.change_id, text, {"change_id": event.change_id})
    await post_notice(session, StudentRecipient(event.student_id, event.school_id), message, IN_APP, at)
    await post_notices(session, registrars(event.school_id), message, IN_APP, at)


async def warn_old_number(
    session: AsyncSession, recipient: StudentRecipient, group_id: UUID, at: datetime
) -> None:
    """Warn a number that a correction replaced."""
    message = Message.of("phone_replaced", group_id, texts.OLD_NUMBER_WARNED, {}, texts.WARNING)
    await post_sms(session, recipient, message, at)
