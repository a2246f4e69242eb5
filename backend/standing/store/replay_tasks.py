"""The nightly replay of students who changed since the last run. A person must look at each difference found.

Safe to run twice: a run is recorded once for a school and legal day, and the same difference is noted once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from procrastinate import JobContext, RetryStrategy
from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.jobs import DEFAULT, Priority, enqueue_unless_waiting, job_app
from backend.core.tenancy import Scope
from backend.people.tables import StudentLock
from backend.standing.batch_assessment import SingleSchool, batches
from backend.standing.engine.trace import decode_canonical
from backend.standing.store import tables
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import lock_for_assessment
from backend.standing.store.replay import replay_students
from backend.standing.store.save import note_difference

BATCH = 250
"""Students replayed in one transaction."""
NIGHT = 3
"""The hour of the legal day from which schools are replayed: after the daily assessments, with few users at work."""
OVERLAP = timedelta(hours=1)
"""A run starts this long before the last one, which did not see transactions that were still in progress."""

_UNREPLAYED = text("SELECT school_id, path FROM definer.unreplayed_schools(:day)")


async def enqueue_unreplayed(app_context: AppContext) -> int:
    """Enqueue a job for every school that was not replayed on the current legal day. Returns the number of schools."""
    at = app_context.clock()
    if at.astimezone(LEGAL_ZONE).hour < NIGHT:
        return 0
    async with app_context.database.transaction(Scope.none()) as session:
        rows = (await session.execute(_UNREPLAYED, {"day": legal_day(at)})).all()
        for school_id, path in rows:
            arguments = {"school_id": str(school_id), "path": path}
            await enqueue_unless_waiting(session, replay_one_school, f"replay/{school_id}", **arguments)
    return len(rows)


@job_app.periodic(cron="*/10 * * * *", periodic_id="replay_nightly")
@job_app.task(
    queue=DEFAULT,
    name="replay_nightly",
    pass_context=True,
    priority=Priority.SCHEDULED,
    queueing_lock="replay_nightly",
)
async def replay_nightly(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by the scheduler
    """Runs every ten minutes, and so catches up after a downtime."""
    await enqueue_unreplayed(context.additional_context["app_context"])


@job_app.task(
    queue=DEFAULT,
    name="replay_school",
    pass_context=True,
    retry=RetryStrategy(max_attempts=6, exponential_wait=3),
)
async def replay_one_school(context: JobContext, school_id: str, path: str) -> None:
    """Replay the students of a school who changed since its last run."""
    app_context: AppContext = context.additional_context["app_context"]
    await replay_school(app_context, SingleSchool(UUID(school_id), path), app_context.clock())


async def replay_school(app_context: AppContext, school: SingleSchool, at: datetime) -> int:
    """Replay the students who changed since the last run and note differences. Returns the number that differ."""
    async with app_context.database.transaction(school.scope) as session:
        last = await session.scalar(
            select(func.max(tables.ReplayRun.until)).where(tables.ReplayRun.school_id == school.school_id)
        )
        changed = (await session.scalars(select_changed_since(school.school_id, last))).all()
    differing = 0
    for batch in batches(changed, BATCH):
        for student_id in await find_suspects(app_context, school, batch, at):
            differing += await verify_and_note(app_context, school, student_id, at)
    row = {"until": at, "students": len(changed), "differing": differing, "finished_at": app_context.clock()}
    async with app_context.database.transaction(school.scope) as session:
        statement = insert(tables.ReplayRun).values(
            school_id=school.school_id, legal_day=legal_day(at), **row
        )
        await session.execute(statement.on_conflict_do_nothing())
    return differing


def select_changed_since(school_id: UUID, last: datetime | None) -> Select[UUID]:
    """The students of a school with any act or assessment since the last run; in the first run all of them."""
    lock, standing = StudentLock, tables.StudentStanding
    students = (
        select(lock.student_id)
        .outerjoin(standing, standing.student_id == lock.student_id)
        .where(lock.school_id == school_id)
        .order_by(lock.student_id)
    )
    if last is None:
        return students
    since = last - OVERLAP
    return students.where(or_(lock.as_of > since, standing.as_of > since))


async def find_suspects(
    app_context: AppContext, school: SingleSchool, student_ids: Sequence[UUID], at: datetime
) -> list[UUID]:
    """Students whose record seems to differ. They are not locked, so a concurrent act can look like a difference."""
    async with app_context.database.transaction(school.scope) as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        students = await load_student_refs(session, student_ids)
        results = await replay_students(session, list(students.values()), at)
    return [result.student_id for result in results if result.differences]


async def verify_and_note(
    app_context: AppContext, school: SingleSchool, student_id: UUID, at: datetime
) -> bool:
    """Replay again with the student locked, and note the difference if it is still there."""
    async with app_context.database.transaction(school.scope) as session:
        locked = await lock_for_assessment(session, student_id, at)
        [result] = await replay_students(session, [locked.subject], locked.at)
        if not result.differences:
            return False
        await note_difference(session, locked, decode_canonical(result.differences), "replay")
    return True
