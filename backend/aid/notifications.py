"""Notices about aid to the student and the registrars; the texts are in `texts.py`."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid import texts
from backend.aid.events import AidDecided, AidReinstated, AidWithdrawn
from backend.aid.queries import get_application
from backend.aid.tables import AidFiling
from backend.identity.recipients import registrars
from backend.notice.messages import IN_APP, Message, NoticeText, StudentRecipient
from backend.notice.service import post_notice, post_notices


async def notify_application_decided(session: AsyncSession, event: AidDecided, at: datetime) -> None:
    """Notify the student of the decision on an application."""
    view = await get_application(session, event.application_id)
    application, decision = view.application, view.decision
    assert decision is not None
    text = texts.application_decided_to_student(
        application.kind, application.term_code, approved=decision.outcome == "approved"
    )
    message = Message.of("aid_decided", application.id, text, {"application_id": application.id})
    recipient = StudentRecipient(application.student_id, application.school_id)
    await post_notice(session, recipient, message, IN_APP, at)


async def notify_aid_withdrawn(session: AsyncSession, event: AidWithdrawn, at: datetime) -> None:
    """Notify the student and the registrars that the unpaid part is withdrawn (HN334-4.1d)."""
    filing = await session.get_one(AidFiling, event.filing_id)
    text = texts.withdrawn_to_student(filing.term_code, filing.fen)
    await _notify_of_filing(session, filing, "aid_withdrawn", text, at)


async def notify_aid_reinstated(session: AsyncSession, event: AidReinstated, at: datetime) -> None:
    """Notify the student and the registrars that the withdrawn aid is due again (HN334-4.2)."""
    filing = await session.get_one(AidFiling, event.filing_id)
    text = texts.reinstated_to_student(filing.term_code, filing.fen)
    await _notify_of_filing(session, filing, "aid_reinstated", text, at)


async def _notify_of_filing(
    session: AsyncSession, filing: AidFiling, kind: str, to_student: NoticeText, at: datetime
) -> None:
    links = {"filing_id": filing.id}
    recipient = StudentRecipient(filing.student_id, filing.school_id)
    await post_notice(session, recipient, Message.of(kind, filing.id, to_student, links), IN_APP, at)
    to_staff = texts.filing_to_staff(filing.kind, filing.term_code, filing.fen)
    message = Message.of(f"aid_{filing.kind}_to_file", filing.id, to_staff, links)
    await post_notices(session, registrars(filing.school_id), message, IN_APP, at)
