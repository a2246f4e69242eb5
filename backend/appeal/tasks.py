"""Background tasks of appeals."""

from uuid import UUID

from procrastinate import JobContext

from backend.appeal.reminders import check_deadline, load_open_appeal_ids
from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.paths import build_unit_path

BATCH_SIZE = 200


async def check_open_appeals(app_context: AppContext) -> int:
    """Check the deadline of every open appeal of the province, each in its own transaction; returns their number.

    A failure does not stop the others: all errors are raised at the end as a group.
    """
    province = Scope.wide(build_unit_path("province", app_context.settings.province_code, None))
    after: UUID | None = None
    checked, failures = 0, list[Exception]()
    while True:
        async with app_context.database.transaction(province) as session:
            ids = await load_open_appeal_ids(session, after, BATCH_SIZE)
        for appeal_id in ids:
            try:
                async with app_context.database.transaction(province) as session:
                    await check_deadline(session, appeal_id, app_context.clock())
            except Exception as error:  # noqa: BLE001 - raised below as part of a group
                failures.append(error)
        checked += len(ids)
        if len(ids) < BATCH_SIZE:
            break
        after = ids[-1]
    if failures:
        msg = "checking appeal deadlines failed"
        raise ExceptionGroup(msg, failures)
    return checked


@job_app.periodic(cron="23 * * * *", periodic_id="watch_appeals")
@job_app.task(queue=DEFAULT, name="watch_appeals", pass_context=True, queueing_lock="watch_appeals")
async def watch_appeals(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Check all deadlines every hour. A run after an outage covers what was missed."""
    await check_open_appeals(context.additional_context["app_context"])
