"""Background entries of retention. The worker hands in the process's parts as `additional_context["runtime"]`."""

from procrastinate import JobContext

from backend.core.jobs import FLOW, VERIFICATION, job_app
from backend.core.runtime import Runtime
from backend.retention.deleting import delete_due
from backend.retention.faces import PORTRAITS, SHOTS, TEMPLATES
from backend.retention.frames import FRAMES
from backend.retention.redrawing import AT_MOST, AT_ONCE, redraw_judged
from backend.roll_call.queue_gauge import verifications_wait

KINDS = (FRAMES, SHOTS, PORTRAITS, TEMPLATES)
_WHEN_IDLE = -1
"""Below every verification that waits."""


@job_app.periodic(cron="37 * * * *", periodic_id="delete_due")
@job_app.task(queue=FLOW, name="delete_due", pass_context=True, queueing_lock="delete_due", lock="delete_due")
async def delete_what_is_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every hour; after an outage it does what was missed."""
    runtime: Runtime = context.additional_context["runtime"]
    await delete_due(runtime, KINDS)


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
    runtime: Runtime = context.additional_context["runtime"]
    for _ in range(AT_MOST // AT_ONCE):
        if await verifications_wait(runtime) or await redraw_judged(runtime, AT_ONCE) < AT_ONCE:
            return
