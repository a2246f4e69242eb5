"""Background tasks of the people package."""

import structlog
from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.paths import build_unit_path
from backend.people.attachment_cleanup import delete_unused_uploads

log = structlog.get_logger()


@job_app.periodic(cron="17 * * * *", periodic_id="discard_attachments")
@job_app.task(
    queue=DEFAULT, name="discard_attachments", pass_context=True, queueing_lock="discard_attachments"
)
async def discard_attachments(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by the scheduler
    """Delete unused uploads every hour, and log how many."""
    app_context: AppContext = context.additional_context["app_context"]
    province = Scope.wide(build_unit_path("province", app_context.settings.province_code, None))
    deleted = await delete_unused_uploads(app_context, province, app_context.clock())
    if deleted.files:
        log.info("deleted unused uploads", files=deleted.files, size_bytes=deleted.size_bytes)
