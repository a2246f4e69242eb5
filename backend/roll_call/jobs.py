"""What the clock does: announce when the notice is due, extend what an outage cut short, settle after the close."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from procrastinate import JobContext
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.jobs import BY_THE_CLOCK, FLOW, job_app
from backend.core.runtime import Runtime
from backend.core.tenancy import Scope
from backend.roll_call.announcing import announce
from backend.roll_call.counting import fold
from backend.roll_call.extending import close_roll_call, extend_roll_call
from backend.roll_call.progress import poke

Step = Callable[[AsyncSession, UUID, datetime], Awaitable[object]]

_DUE = text("SELECT roll_call_id, launcher_path, due FROM door.due_roll_calls(:instant) ORDER BY due")
_STEPS: dict[str, Step] = {"announce": announce, "extend": extend_roll_call, "close": close_roll_call}


async def run_due(runtime: Runtime) -> int:
    """Announce and settle whatever is due by the runtime's clock; returns how many steps were taken.

    Each roll call has its own transaction, and one that fails keeps no other waiting: what failed is raised in
    the end, as a group. What is due for announcing comes first, since whoever was never told did not miss.
    """
    async with runtime.database.transaction(Scope.none()) as session:
        due = (await session.execute(_DUE, {"instant": runtime.clock()})).all()
    failures: list[Exception] = []
    for roll_call_id, path, step in due:
        try:
            await _take(runtime, step, roll_call_id, path)
        except Exception as error:  # noqa: BLE001 - raised below, with those of the others
            failures.append(error)
    if failures:
        msg = "steps of roll calls failed"
        raise ExceptionGroup(msg, failures)
    return len(due)


async def _take(runtime: Runtime, step: str, roll_call_id: UUID, path: str) -> None:
    """Take one step, unless another worker is at it: the next beat comes soon, and waiting would hold a worker."""
    key = func.hashtextextended(f"due/{step}/{roll_call_id}", 0)
    async with runtime.database.transaction(Scope.wide(path)) as session:
        if not await session.scalar(select(func.pg_try_advisory_xact_lock(key))):
            return
        await _STEPS[step](session, roll_call_id, runtime.clock())
    await poke(runtime.redis, roll_call_id)


@job_app.periodic(cron="* * * * * */2", periodic_id="due")
@job_app.task(
    queue=FLOW,
    name="roll_calls_due",
    pass_context=True,
    priority=BY_THE_CLOCK,
    queueing_lock="roll_calls_due",
)
async def roll_calls_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every two seconds; late, after an outage, it does what was missed."""
    await run_due(context.additional_context["runtime"])


@job_app.periodic(cron="* * * * * */2", periodic_id="fold_outcomes")
@job_app.task(
    queue=FLOW,
    name="fold_outcomes",
    pass_context=True,
    priority=BY_THE_CLOCK,
    queueing_lock="fold_outcomes",
)
async def fold_outcomes(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every two seconds, so that a reader of the progress never adds up many notes."""
    runtime: Runtime = context.additional_context["runtime"]
    async with runtime.database.transaction(Scope.none()) as session:
        await fold(session)
