"""Settles one student again whose submission arrived in time but was stored only after the settlement (invariant 2)."""

from datetime import datetime
from uuid import UUID

from procrastinate import JobContext, RetryStrategy
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.jobs import DEFAULT, Priority, job_app
from backend.core.tenancy import Scope
from backend.roll_call.outcomes import (
    find_current_outcome,
    is_supersedable,
    lock_obligation,
    lock_roll_call_shared,
    write_outcome,
)
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.attempts import (
    decide_from_attempts,
    load_attempts,
    load_referred_students,
)
from backend.roll_call.tables import Obligation, RollCall, Submission


@job_app.task(
    queue=DEFAULT,
    name="resettle_submission",
    pass_context=True,
    priority=Priority.HIGH,
    retry=RetryStrategy(wait=2, linear_wait=10),  # without limit: giving up would leave a false miss
)
async def resettle_submission(context: JobContext, submission_id: str, school_id: str) -> None:
    """Run `resettle` within the school's scope."""
    app_context: AppContext = context.additional_context["app_context"]
    async with app_context.database.transaction(Scope.school(UUID(school_id))) as session:
        await resettle(session, UUID(submission_id), app_context.clock())


async def resettle(session: AsyncSession, submission_id: UUID, at: datetime) -> None:
    """Replace the student's miss by the outcome of all their attempts, if an accepted submission may still do so."""
    submission = await session.get_one(Submission, submission_id)
    student_id = submission.student_id
    roll_call = await session.get_one(RollCall, submission.roll_call_id)
    await lock_obligation(session, roll_call.id, student_id)
    await lock_roll_call_shared(session, roll_call.id)
    earlier = await find_current_outcome(session, roll_call.id, student_id)
    if earlier is None or earlier.outcome != Outcome.MISSED or not is_supersedable(earlier):
        return
    obligation = await session.get_one(Obligation, (roll_call.id, student_id))
    attempts = await load_attempts(session, roll_call, [student_id])
    referred = await load_referred_students(session, roll_call, [student_id])
    decision = decide_from_attempts(attempts[student_id], sent_to_a_person=student_id in referred)
    await write_outcome(session, roll_call, obligation, decision, at, replaces=earlier)
