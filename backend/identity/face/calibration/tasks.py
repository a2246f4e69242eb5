"""The background task that tells a school what to expect after a class confirmed a rehearsal."""

from datetime import datetime
from typing import Any

from procrastinate import JobContext, RetryStrategy
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.jobs import DEFAULT, enqueue, job_app
from backend.identity.events import RehearsalConfirmed
from backend.identity.face.calibration.notifications import notify_rehearsal_confirmed

_RETRY = RetryStrategy(max_attempts=8, exponential_wait=3)


@job_app.task(queue=DEFAULT, name="report_rehearsal", pass_context=True, retry=_RETRY)
async def report_rehearsal(context: JobContext, event: dict[str, Any]) -> None:
    """Compute the face report of the school, and tell its registrars."""
    confirmed = RehearsalConfirmed.parse(event)
    await notify_rehearsal_confirmed(context.additional_context["app_context"], confirmed)


async def enqueue_rehearsal_report(session: AsyncSession, event: RehearsalConfirmed, _at: datetime) -> None:
    """Enqueue the report, which takes longer than a consumer of events may."""
    await enqueue(session, report_rehearsal, event=event.payload())
