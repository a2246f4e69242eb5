"""What the clock does: announce when the notice is due, settle when the window has closed."""

from procrastinate import JobContext
from sqlalchemy import text

from backend.core.jobs import FLOW, job_app
from backend.core.runtime import Runtime
from backend.core.tenancy import Scope
from backend.roll_call.announcing import announce
from backend.roll_call.progress import poke
from backend.roll_call.settlement import settle_roll_call

_DUE = text("SELECT roll_call_id, launcher_path, due FROM door.due_roll_calls(:instant)")


async def run_due(runtime: Runtime) -> int:
    """Announce and settle whatever is due by the runtime's clock; returns how many steps were taken.

    Each roll call has its own transaction, so that one that fails keeps no other waiting.
    """
    async with runtime.database.transaction(Scope.none()) as session:
        due = (await session.execute(_DUE, {"instant": runtime.clock()})).all()
    for roll_call_id, path, step in due:
        async with runtime.database.transaction(Scope.wide(path)) as session:
            if step == "announce":
                await announce(session, roll_call_id, runtime.clock())
            else:
                await settle_roll_call(session, roll_call_id, runtime.clock())
        await poke(runtime.redis, roll_call_id)
    return len(due)


@job_app.periodic(cron="* * * * * */2", periodic_id="due")
@job_app.task(queue=FLOW, name="roll_calls_due", pass_context=True, queueing_lock="roll_calls_due")
async def roll_calls_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Every two seconds; late, after an outage, it does what was missed."""
    await run_due(context.additional_context["runtime"])
