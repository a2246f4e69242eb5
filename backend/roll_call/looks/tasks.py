"""The periodic task that ends requests without an answer, and reminds of those that expire soon."""

from procrastinate import JobContext

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, job_app
from backend.core.tenancy import Scope
from backend.identity.policy import province_policy
from backend.org.paths import build_unit_path
from backend.roll_call.looks.closing import close_if_ended, load_ended
from backend.roll_call.looks.notifications import load_roll_calls_with_expiring_looks, remind_before_expiry

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


async def remind_of_expiring_looks(app_context: AppContext) -> int:
    """Remind of the requests that expire within `look.reminder`; each roll call in its own transaction.

    Returns the number of people reminded.
    """
    province = Scope.wide(build_unit_path("province", app_context.settings.province_code, None))
    at = app_context.clock()
    until = at + province_policy(app_context, at).duration("look.reminder")
    async with app_context.database.transaction(province) as session:
        roll_call_ids = await load_roll_calls_with_expiring_looks(session, at, until)
    reminded = 0
    for roll_call_id in roll_call_ids:
        async with app_context.database.transaction(province) as session:
            reminded += await remind_before_expiry(session, roll_call_id, at, until)
    return reminded


@job_app.periodic(cron="*/10 * * * *", periodic_id="close_looks")
@job_app.task(queue=DEFAULT, name="close_looks", pass_context=True, queueing_lock="close_looks")
async def close_looks(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Close ended requests every ten minutes and remind of others. A run after an outage covers what was missed."""
    app_context = context.additional_context["app_context"]
    await close_ended_looks(app_context)
    await remind_of_expiring_looks(app_context)
