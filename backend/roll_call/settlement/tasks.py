"""The periodic task that announces, extends and closes roll calls when they are due."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from procrastinate import JobContext
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, Priority, job_app
from backend.core.tenancy import Scope
from backend.roll_call.launch.notifications import announce_roll_call
from backend.roll_call.progress.changes import publish_changed
from backend.roll_call.settlement.extension import close_roll_call, extend_roll_call

Step = Callable[[AsyncSession, UUID, datetime], Awaitable[object]]

_DUE = text("SELECT roll_call_id, launcher_path, due FROM definer.due_roll_calls(:instant) ORDER BY due")
_STEPS: dict[str, Step] = {
    "announce": announce_roll_call,
    "extend": extend_roll_call,
    "close": close_roll_call,
}


async def run_due_steps(app_context: AppContext) -> int:
    """Run every step that is due by the application's clock. Returns the number of steps.

    Each step has its own transaction, and a failure does not stop the others; failures are raised together at the end.
    Announcements run first, because a student who was never notified cannot have missed the roll call.
    """
    async with app_context.database.transaction(Scope.none()) as session:
        due = (await session.execute(_DUE, {"instant": app_context.clock()})).all()
    failures: list[Exception] = []
    for roll_call_id, path, step in due:
        try:
            await _run_step(app_context, step, roll_call_id, path)
        except Exception as error:  # noqa: BLE001 - raised below together with the others
            failures.append(error)
    if failures:
        msg = "steps of roll calls failed"
        raise ExceptionGroup(msg, failures)
    return len(due)


async def _run_step(app_context: AppContext, step: str, roll_call_id: UUID, path: str) -> None:
    """Run one step unless another worker is running it: the next tick comes soon, and waiting would block a worker."""
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
async def roll_calls_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - passed by procrastinate
    """Run the due steps every two seconds. After an outage the first run makes up for the missed ones."""
    await run_due_steps(context.additional_context["app_context"])
