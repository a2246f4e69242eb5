"""Background entries of people. The worker hands in the process's parts as `additional_context["runtime"]`."""

import structlog
from procrastinate import JobContext

from backend.core.jobs import FLOW, job_app
from backend.core.runtime import Runtime
from backend.core.tenancy import Scope
from backend.org.paths import path_of
from backend.people.attachments import discard_unused

log = structlog.get_logger()


@job_app.periodic(cron="17 * * * *", periodic_id="discard_attachments")
@job_app.task(queue=FLOW, name="discard_attachments", pass_context=True, queueing_lock="discard_attachments")
async def discard_attachments(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Delete, every hour, the uploads that nothing has taken, and say what went."""
    runtime: Runtime = context.additional_context["runtime"]
    province = Scope.wide(path_of("province", runtime.settings.province_code, None))
    gone = await discard_unused(runtime, province, runtime.clock())
    if gone.files:
        log.info("discarded uploads that nothing took", files=gone.files, size_bytes=gone.size_bytes)
