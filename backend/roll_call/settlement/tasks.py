"""What the clock does: announce when the notice is due, extend what an outage cut short, settle after the close."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from procrastinate import JobContext
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, Priority, job_app
from backend.core.tenancy import Scope
from backend.roll_call.launch.notifications import announce
from backend.roll_call.progress.access import publish_changed
from backend.roll_call.progress.counters import flush_counters
from backend.roll_call.settlement.extension import close_roll_call, extend_roll_call

Step = Callable[[AsyncSession, UUID, datetime], Awaitable[object]]

_DUE = text("SELECT roll_call_id, launcher_path, due FROM definer.due_roll_calls(:instant) ORDER BY due")
_STEPS: dict[str, Step] = {"announce": announce, "extend": extend_roll_call, "close": close_roll_call}


async def run_due(app_context: AppContext) -> int:
    """Announce and settle whatever is due by the runtime's clock; returns how many steps were taken.

    Each roll call has its own transaction, and one that fails keeps no other waiting: what failed is raised in
    the end, as a group. What is due for announcing comes first, since whoever was never told did not miss.
    """
    async with app_context.database.transaction(Scope.none()) as session:
        due = (await session.execute(_DUE, {"instant": app_context.clock()})).all()
    failures: list[Exception] = []
    for roll_call_id, path, step in due:
        try:
            await _take(app_context, step, roll_call_id, path)
        except Exception as error:  # noqa: BLE001 - raised below, with those of the others
            failures.append(error)
    if failures:
        msg = "steps of roll calls failed"
        raise ExceptionGroup(msg, failures)
    return len(due)


async def _take(app_context: AppContext, step: str, roll_call_id: UUID, path: str) -> None:
    """Take one step, unless another worker is at it: the next beat comes soon, and waiting would hold a worker."""
    key = func.hashtextextended(f"due/{step}/{roll_call_id}", 0)
    async with app_context.database.transaction(Scope.wide(path)) as session:
        if not await session.scalar(select(func.pg_try_advisory_xact_lock(key))):
            return
        await _STEPS[step](session, roll_call_id, app_context.clock())
    await publish_changed(app_context.redis, roll_call_id)


@job_app.periodic(cron="* * * * * */2", periodic_id="due")
@job_app.task(
    queue=DEFAULT,
    name="roll_calls_due",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="roll_calls_due",
)
async def roll_calls_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every two seconds; late, after an outage, it does what was missed."""
    await run_due(context.additional_context["app_context"])


@job_app.periodic(cron="* * * * * */2", periodic_id="flush_outcome_counts")
@job_app.task(
    queue=DEFAULT,
    name="flush_outcome_counts",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="flush_outcome_counts",
)
async def flush_outcome_counters(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every two seconds, so that a reader of the progress never adds up many notes."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.none()) as session:
        await flush_counters(session)
