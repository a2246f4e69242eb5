"""Background tasks of retention. The worker passes its context as `additional_context["app_context"]`."""

from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, VERIFICATION, job_app
from backend.retention.check_in_cells import CHECK_IN_CELLS
from backend.retention.deletion import delete_expired
from backend.retention.faces import PORTRAITS, PROBES, SHOTS, TEMPLATES
from backend.retention.frame_reencoding import BATCH_SIZE, MAX_FRAMES, reencode_verified_frames
from backend.retention.frames import FRAMES, FRAMES_NOT_LOOKED_AT
from backend.retention.guardian_links import GUARDIAN_LINKS
from backend.retention.picture_keys import PICTURE_KEYS
from backend.retention.picture_views import PICTURE_VIEWS
from backend.retention.positions import ATTESTER_POSITIONS, ENVELOPES
from backend.retention.push_subscriptions import PUSH_SUBSCRIPTIONS
from backend.retention.schedule import RUN_MINUTE
from backend.roll_call.verification.metrics import has_pending_verifications

KINDS = (
    FRAMES,
    FRAMES_NOT_LOOKED_AT,
    SHOTS,
    PORTRAITS,
    TEMPLATES,
    PROBES,
    PICTURE_KEYS,
    ENVELOPES,
    ATTESTER_POSITIONS,
    PICTURE_VIEWS,
    GUARDIAN_LINKS,
    PUSH_SUBSCRIPTIONS,
    CHECK_IN_CELLS,
)
_LOWEST_PRIORITY = -1
"""Lower than the priority of every verification."""


@job_app.periodic(cron=f"{RUN_MINUTE} * * * *", periodic_id="delete_due")
@job_app.task(
    queue=DEFAULT, name="delete_due", pass_context=True, queueing_lock="delete_due", lock="delete_due"
)
async def run_retention(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by procrastinate
    """Delete expired data every hour. After an outage, the next run catches up."""
    app_context: AppContext = context.additional_context["app_context"]
    await delete_expired(app_context, KINDS)


@job_app.periodic(cron="* * * * *", periodic_id="redraw_frames")
@job_app.task(
    queue=VERIFICATION,
    name="redraw_frames",
    pass_context=True,
    priority=_LOWEST_PRIORITY,
    queueing_lock="redraw_frames",
    lock="redraw_frames",
)
async def reencode_frames(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by procrastinate
    """Re-encode a bounded number of frames every minute, but none while verifications wait for the face workers."""
    app_context: AppContext = context.additional_context["app_context"]
    for _ in range(MAX_FRAMES // BATCH_SIZE):
        if (
            await has_pending_verifications(app_context)
            or await reencode_verified_frames(app_context, BATCH_SIZE) < BATCH_SIZE
        ):
            return
