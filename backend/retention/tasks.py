"""Background entries of retention. The worker hands in the process's parts as `additional_context["app_context"]`."""

from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, VERIFICATION, job_app
from backend.retention.deletion import delete_due
from backend.retention.faces import PORTRAITS, SHOTS, TEMPLATES
from backend.retention.frame_reencoding import AT_MOST, AT_ONCE, redraw_judged
from backend.retention.frames import FRAMES
from backend.roll_call.verification.metrics import has_pending_verifications

KINDS = (FRAMES, SHOTS, PORTRAITS, TEMPLATES)
_WHEN_IDLE = -1
"""Below every verification that waits."""


@job_app.periodic(cron="37 * * * *", periodic_id="delete_due")
@job_app.task(
    queue=DEFAULT, name="delete_due", pass_context=True, queueing_lock="delete_due", lock="delete_due"
)
async def delete_what_is_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every hour; after an outage it does what was missed."""
    app_context: AppContext = context.additional_context["app_context"]
    await delete_due(app_context, KINDS)


@job_app.periodic(cron="* * * * *", periodic_id="redraw_frames")
@job_app.task(
    queue=VERIFICATION,
    name="redraw_frames",
    pass_context=True,
    priority=_WHEN_IDLE,
    queueing_lock="redraw_frames",
    lock="redraw_frames",
)
async def redraw_frames(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every minute, a bounded number, and none while a verification waits for the same face processes."""
    app_context: AppContext = context.additional_context["app_context"]
    for _ in range(AT_MOST // AT_ONCE):
        if (
            await has_pending_verifications(app_context)
            or await redraw_judged(app_context, AT_ONCE) < AT_ONCE
        ):
            return
