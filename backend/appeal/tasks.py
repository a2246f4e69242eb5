"""Background entries of appeals."""

from uuid import UUID

from procrastinate import JobContext

from backend.appeal.reminders import open_appeals, watch
from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.paths import path_of

AT_ONCE = 200


async def watch_open_appeals(app_context: AppContext) -> int:
    """Look at every open appeal of the province, each in a transaction of its own; returns how many there are.

    One that fails keeps no other waiting: what failed is raised in the end, as a group.
    """
    province = Scope.wide(path_of("province", app_context.settings.province_code, None))
    after: UUID | None = None
    seen, failures = 0, list[Exception]()
    while True:
        async with app_context.database.transaction(province) as session:
            ids = await open_appeals(session, after, AT_ONCE)
        for appeal_id in ids:
            try:
                async with app_context.database.transaction(province) as session:
                    await watch(session, appeal_id, app_context.clock())
            except Exception as error:  # noqa: BLE001 - raised below, with those of the others
                failures.append(error)
        seen += len(ids)
        if len(ids) < AT_ONCE:
            break
        after = ids[-1]
    if failures:
        msg = "watching appeals failed"
        raise ExceptionGroup(msg, failures)
    return seen


@job_app.periodic(cron="23 * * * *", periodic_id="watch_appeals")
@job_app.task(queue=DEFAULT, name="watch_appeals", pass_context=True, queueing_lock="watch_appeals")
async def watch_appeals(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every hour; after an outage it does what was missed."""
    await watch_open_appeals(context.additional_context["app_context"])
