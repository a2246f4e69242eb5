"""Notices about rehearsals to the registrars of the school."""

from datetime import datetime
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.events import RehearsalConfirmed
from backend.identity.face.calibration import texts
from backend.identity.face.calibration.confirmation import count_confirmed
from backend.identity.recipients import registrars
from backend.notice.messages import IN_APP, Message
from backend.notice.service import post_notices


async def notify_rehearsal_confirmed(session: AsyncSession, event: RehearsalConfirmed, at: datetime) -> None:
    """Tell the registrars how many students were confirmed, and where the school's figures are."""
    _, people = await count_confirmed(session, event.school_id)
    text = texts.rehearsal_confirmed_to_staff(event.confirmed, event.excluded, people)
    links = {"school_id": event.school_id, "roll_call_id": event.roll_call_id}
    kind = "rehearsal_confirmed"
    message = Message.of(kind, uuid5(event.confirmation_id, kind), text, links)
    await post_notices(session, registrars(event.school_id), message, IN_APP, at)
