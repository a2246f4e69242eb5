"""Background tasks that keep the outcome counters current and check them."""

from uuid import UUID

from procrastinate import JobContext, RetryStrategy
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, Priority, job_app
from backend.core.tenancy import Scope
from backend.roll_call.progress.counters import find_miscounts, flush_counters


@job_app.periodic(cron="* * * * * */2", periodic_id="flush_outcome_counts")
@job_app.task(
    queue=DEFAULT,
    name="flush_outcome_counts",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="flush_outcome_counts",
)
async def flush_outcome_counters(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by procrastinate
    """Flush the pending changes every two seconds, so that readers never add up many rows."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.none()) as session:
        await flush_counters(session)


@job_app.task(
    queue=DEFAULT,
    name="compare_counters",
    pass_context=True,
    priority=Priority.LOW,
    retry=RetryStrategy(  # without limit, but only while the database is not reachable
        wait=2, linear_wait=10, retry_exceptions=[OperationalError, InterfaceError, PoolTimeout]
    ),
)
async def compare_counters(context: JobContext, roll_call_id: str, path: str) -> None:
    """Fail if the counters of a settled roll call, on which its sums are based, differ from its outcomes."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.wide(path)) as session:
        wrong_classes = await find_miscounts(session, UUID(roll_call_id))
    if wrong_classes:
        msg = f"counters of {roll_call_id} differ from its outcomes in {len(wrong_classes)} classes: dianming progress check"
        raise RuntimeError(msg)
