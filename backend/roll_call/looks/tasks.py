"""The periodic task that ends requests without an answer."""

from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.org.paths import build_unit_path
from backend.roll_call.looks.closing import close_if_ended, load_ended

BATCH_SIZE = 200


async def close_ended_looks(app_context: AppContext) -> int:
    """Close every ended request of the province, each in its own transaction; returns their number.

    A failure does not stop the others: all errors are raised at the end as a group.
    """
    province = Scope.wide(build_unit_path("province", app_context.settings.province_code, None))
    after, closed, failures = None, 0, list[Exception]()
    while True:
        at = app_context.clock()
        async with app_context.database.transaction(province) as session:
            ended = await load_ended(session, at, after, BATCH_SIZE)
        for request in ended:
            try:
                async with app_context.database.transaction(province) as session:
                    closed += await close_if_ended(session, request.id, at)
            except Exception as error:  # noqa: BLE001 - raised below as part of a group
                failures.append(error)
        if len(ended) < BATCH_SIZE:
            break
        after = ended[-1].expires_at, ended[-1].id
    if failures:
        msg = "closing looks failed"
        raise ExceptionGroup(msg, failures)
    return closed


@job_app.periodic(cron="*/10 * * * *", periodic_id="close_looks")
@job_app.task(queue=DEFAULT, name="close_looks", pass_context=True, queueing_lock="close_looks")
async def close_looks(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Close ended requests every ten minutes. A run after an outage covers what was missed."""
    await close_ended_looks(context.additional_context["app_context"])
