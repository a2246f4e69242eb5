"""Background tasks: send guardians the SMS about one student, or about the students who missed a roll call.

An event's consumer enqueues a job and sends nothing itself, because only a job has the keys that encrypt the link. Its
arguments are identifiers; the token is made in the job and leaves it encrypted.
"""

from collections.abc import Collection, Sequence
from typing import get_args
from uuid import UUID

from procrastinate import JobContext, RetryStrategy
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.database import equals_any
from backend.core.jobs import DEFAULT, JobRequest, Priority, enqueue_all_unless_waiting, job_app
from backend.core.tenancy import Scope
from backend.guardian.links import Cause
from backend.guardian.notifications import LinkSender, notify_guardians
from backend.identity.consents import GUARDIAN_NOTICE, has_granted
from backend.roll_call.outcomes import roll_call_term, select_current_outcomes
from backend.roll_call.rules import REHEARSAL, Outcome
from backend.roll_call.tables import OutcomeEntry, RollCall, RollCallSchool

SCHOOLS_PER_JOB = 20
"""As for assessments: few enough to finish in seconds, and to share a province among several workers."""
_RETRY = RetryStrategy(max_attempts=6, exponential_wait=3)


async def enqueue_notice(session: AsyncSession, school_id: UUID, student_id: UUID, cause: Cause) -> None:
    """Send the guardians of one student an SMS soon."""
    arguments = {"school_id": str(school_id), "student_id": str(student_id), "cause": cause}
    await enqueue_all_unless_waiting(
        session, [(notify_of_student, f"guardian/{cause}/{student_id}", arguments)]
    )


async def enqueue_miss_notices(session: AsyncSession, roll_call_id: UUID) -> None:
    """Send SMS to the guardians of the students who missed a settled roll call; none for a rehearsal."""
    roll_call = await session.get_one(RollCall, roll_call_id)
    if roll_call.kind == REHEARSAL:
        return
    schools = select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call_id)
    school_ids = sorted(str(school_id) for school_id in await session.scalars(schools))
    requests: list[JobRequest] = []
    for first in range(0, len(school_ids), SCHOOLS_PER_JOB):
        batch = school_ids[first : first + SCHOOLS_PER_JOB]
        arguments = {
            "roll_call_id": str(roll_call_id),
            "path": roll_call.launcher_path,
            "school_ids": batch,
        }
        requests.append((notify_of_misses, f"guardian/miss/{roll_call_id}/{batch[0]}", arguments))
    await enqueue_all_unless_waiting(session, requests)


@job_app.task(
    queue=DEFAULT, name="notify_guardians_of_student", pass_context=True, priority=Priority.LOW, retry=_RETRY
)
async def notify_of_student(context: JobContext, school_id: str, student_id: str, cause: str) -> None:
    """Send the guardians of one student an SMS."""
    app_context: AppContext = context.additional_context["app_context"]
    await _notify(app_context, UUID(school_id), UUID(student_id), _parse_cause(cause))


@job_app.task(
    queue=DEFAULT, name="notify_guardians_of_misses", pass_context=True, priority=Priority.LOW, retry=_RETRY
)
async def notify_of_misses(context: JobContext, roll_call_id: str, path: str, school_ids: list[str]) -> None:
    """Send SMS to the guardians of the students of these schools who missed the roll call.

    Each student has a transaction of their own. A failure does not stop the others; failures are raised at the end.
    """
    app_context: AppContext = context.additional_context["app_context"]
    schools = [UUID(school_id) for school_id in school_ids]
    async with app_context.database.transaction(Scope.wide(path)) as session:
        rows: Sequence[tuple[UUID, UUID]] = [
            (school_id, student_id)
            for school_id, student_id in await session.execute(_select_absentees(schools, UUID(roll_call_id)))
        ]
    failures: list[Exception] = []
    for school_id, student_id in rows:
        try:
            await _notify(app_context, school_id, student_id, "miss")
        except Exception as error:  # noqa: BLE001 - raised below, after all other students
            failures.append(error)
    if failures:
        msg = f"guardians of {len(failures)} students of {path} could not be notified"
        raise ExceptionGroup(msg, failures)


async def _notify(app_context: AppContext, school_id: UUID, student_id: UUID, cause: Cause) -> None:
    sender = LinkSender(app_context.keys, app_context.settings.public_url)
    async with app_context.database.transaction(Scope.school(school_id)) as session:
        await notify_guardians(session, sender, student_id, cause, app_context.clock())


def _select_absentees(schools: Collection[UUID], roll_call_id: UUID) -> Select[UUID, UUID]:
    """School and id of the students with a granted consent whose current outcome is a miss."""
    return (
        select_current_outcomes()
        .with_only_columns(OutcomeEntry.school_id, OutcomeEntry.student_id)
        .where(
            OutcomeEntry.term_code == roll_call_term(roll_call_id),
            OutcomeEntry.roll_call_id == roll_call_id,
            equals_any(OutcomeEntry.school_id, schools),
            OutcomeEntry.outcome == Outcome.MISSED.value,
            has_granted(OutcomeEntry.student_id.expression, GUARDIAN_NOTICE),
        )
        .order_by(OutcomeEntry.student_id)
    )


def _parse_cause(cause: str) -> Cause:
    return next(known for known in get_args(Cause) if known == cause)
