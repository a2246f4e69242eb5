"""Background entries of people. The worker hands in the process's parts as `additional_context["app_context"]`."""

import structlog
from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.people.attachments import discard_unused

log = structlog.get_logger()


@job_app.periodic(cron="17 * * * *", periodic_id="discard_attachments")
@job_app.task(
    queue=DEFAULT, name="discard_attachments", pass_context=True, queueing_lock="discard_attachments"
)
async def discard_attachments(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Delete, every hour, the uploads that nothing has taken, and say what went."""
    app_context: AppContext = context.additional_context["app_context"]
    province = Scope.wide(path_of("province", app_context.settings.province_code, None))
    gone = await discard_unused(app_context, province, app_context.clock())
    if gone.files:
        log.info("discarded uploads that nothing took", files=gone.files, size_bytes=gone.size_bytes)
