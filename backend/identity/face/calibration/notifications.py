"""Notices about rehearsals to the registrars of the school."""

from datetime import datetime
from uuid import uuid5

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.tenancy import Scope
from backend.identity.events import RehearsalConfirmed
from backend.identity.face.calibration import texts
from backend.identity.face.calibration.confirmation import count_confirmed
from backend.identity.face.calibration.report import SchoolReport, load_school_report
from backend.identity.recipients import registrars
from backend.notice.messages import IN_APP, Message
from backend.notice.service import post_notices
from backend.notice.tables import NoticeMessage

KIND = "rehearsal_confirmed"


async def notify_rehearsal_confirmed(app_context: AppContext, event: RehearsalConfirmed) -> None:
    """Tell the registrars what was confirmed and what the school may expect. Once for each confirmation.

    The report is computed before the transaction that posts, because it decrypts and compares faces.
    """
    at = app_context.clock()
    report = await load_school_report(app_context, event.school_id, at)
    async with app_context.database.transaction(Scope.school(event.school_id, event.path)) as session:
        await _post_once(session, event, report, at)


async def _post_once(
    session: AsyncSession, event: RehearsalConfirmed, report: SchoolReport, at: datetime
) -> None:
    group_id = uuid5(event.confirmation_id, KIND)
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"{KIND}/{event.confirmation_id}", 0))
    await session.execute(select(lock))
    if await session.scalar(select(exists().where(NoticeMessage.group_id == group_id))):
        return
    _, people = await count_confirmed(session, event.school_id)
    text = texts.rehearsal_confirmed_to_staff(event.confirmed, event.excluded, people, report)
    links = {"school_id": event.school_id, "roll_call_id": event.roll_call_id}
    await post_notices(
        session, registrars(event.school_id), Message.of(KIND, group_id, text, links), IN_APP, at
    )
