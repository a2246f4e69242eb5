"""Notices of measures to the registrars of the school."""

from datetime import datetime
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.recipients import registrars
from backend.notice.messages import IN_APP, Message
from backend.notice.service import post_notices
from backend.registration.events import SchoolMeasureTaken
from backend.registration.schools.rules import MeasureKind
from backend.registration.texts import measure_to_staff

KIND = "school_measure"


async def notify_school_of_measure(session: AsyncSession, event: SchoolMeasureTaken, at: datetime) -> None:
    """Tell the registrars of the school."""
    text = measure_to_staff(MeasureKind(event.kind))
    message = Message.of(KIND, uuid5(event.measure_id, KIND), text, {"school_id": event.school_id})
    await post_notices(session, registrars(event.school_id), message, IN_APP, at)
