"""Background tasks: one job sends one slice of a message's SMS, another one its push messages."""

from datetime import timedelta
from uuid import UUID

import structlog
from procrastinate import JobContext, RetryStrategy
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.database import driver_connection
from backend.core.errors import DomainError
from backend.core.jobs import NOTICES, job_app
from backend.notice.delivery import Slice, deliver_slice, fail_slice
from backend.notice.errors import PushStillQueued, SmsStillQueued
from backend.notice.messages import Channel
from backend.notice.push.client import web_push
from backend.notice.push.delivery import deliver_push_slice, fail_push_slice
from backend.notice.sms.providers import sms_provider

log = structlog.get_logger()

RETRIES = 5
"""With `exponential_wait=4` the waits are 4 s, 16 s, 64 s, 4 min and 17 min."""


@job_app.task(
    queue=NOTICES,
    name="deliver_sms",
    pass_context=True,
    retry=RetryStrategy(max_attempts=RETRIES, exponential_wait=4),
)
async def deliver_sms(
    context: JobContext, message_id: str, number: int, org_path: str, school_id: str | None
) -> None:
    """Send the queued rows of the slice. After the last retry, rows still queued fail with a receipt."""
    app_context: AppContext = context.additional_context["app_context"]
    part = Slice(UUID(message_id), number, org_path, UUID(school_id) if school_id else None)
    last = context.job.attempts >= RETRIES
    try:
        queued = await deliver_slice(app_context, part, app_context.service(sms_provider))
        if queued:
            raise SmsStillQueued(count=queued)
    except DomainError as error:
        if not last:
            raise
        code = error.code
    else:
        return
    # Log only the code: a traceback may contain phone numbers and template parameters.
    log.error(
        "SMS failed for good",
        message_id=message_id,
        slice=number,
        code=code,
        failed=await fail_slice(app_context, part),
    )


@job_app.task(
    queue=NOTICES,
    name="deliver_push",
    pass_context=True,
    retry=RetryStrategy(max_attempts=RETRIES, exponential_wait=4),
)
async def deliver_push(
    context: JobContext, message_id: str, number: int, org_path: str, school_id: str | None
) -> None:
    """Send the queued push messages of the slice. After the last retry, those still queued fail: push is an extra."""
    app_context: AppContext = context.additional_context["app_context"]
    part = Slice(UUID(message_id), number, org_path, UUID(school_id) if school_id else None)
    queued = await deliver_push_slice(app_context, part, app_context.service(web_push))
    if not queued:
        return
    if context.job.attempts < RETRIES:
        raise PushStillQueued(count=queued)
    log.warning(
        "push failed for good", message_id=message_id, failed=await fail_push_slice(app_context, part)
    )


async def enqueue_slice(
    session: AsyncSession, part: Slice, wait: timedelta, channel: Channel = "sms", *, priority: int = 0
) -> None:
    """Enqueue the job of a slice and channel in the session's transaction, due after `wait`. Its lock prevents concurrent runs."""
    seconds = round(wait.total_seconds())
    task = deliver_push if channel == "web_push" else deliver_sms
    job = task.configure(
        lock=f"{channel}:{part.message_id}:{part.number}",
        connection=await driver_connection(session),
        schedule_in={"seconds": seconds} if seconds else None,
        priority=priority,
    )
    await job.defer_async(
        message_id=str(part.message_id),
        number=part.number,
        org_path=part.org_path,
        school_id=str(part.school_id) if part.school_id else None,
    )
