"""The nightly replay: of everyone about whom something changed since the last one; differences go to a person.

Safe to run twice: a run is recorded once a school and legal day, and the same difference is noted once.
"""

from collections.abc import Iterator, Sequence
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
from backend.standing.batch_assessment import SchoolOf
from backend.standing.engine.trace import document
from backend.standing.store import tables
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import lock_and_assess
from backend.standing.store.replay import replays
from backend.standing.store.save import note_difference

BATCH = 250
"""Students replayed in one transaction."""
NIGHT = 3
"""The hour of the legal day from which schools are replayed: the day's assessments are over, and few are at work."""
OVERLAP = timedelta(hours=1)
"""A run asks back so far before the last one, whose reading a transaction in progress may have escaped."""

_UNREPLAYED = text("SELECT school_id, path FROM definer.unreplayed_schools(:day)")


async def enqueue_unreplayed(app_context: AppContext) -> int:
    """A job for every school not yet replayed on the legal day of the runtime's clock; how many schools."""
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
    """Every ten minutes; after a downtime it does what was missed."""
    await enqueue_unreplayed(context.additional_context["app_context"])


@job_app.task(
    queue=DEFAULT,
    name="replay_school",
    pass_context=True,
    retry=RetryStrategy(max_attempts=6, exponential_wait=3),
)
async def replay_one_school(context: JobContext, school_id: str, path: str) -> None:
    """Replay whoever changed in a school since its last run."""
    app_context: AppContext = context.additional_context["app_context"]
    await replay_school(app_context, SchoolOf(UUID(school_id), path), app_context.clock())


async def replay_school(app_context: AppContext, school: SchoolOf, at: datetime) -> int:
    """Replay those who changed since the last run and note what differs; how many students differ."""
    async with app_context.database.transaction(school.scope) as session:
        last = await session.scalar(
            select(func.max(tables.ReplayRun.until)).where(tables.ReplayRun.school_id == school.school_id)
        )
        asked = (await session.scalars(changed_since(school.school_id, last))).all()
    differing = 0
    for batch in _batches(asked):
        for student_id in await suspects(app_context, school, batch, at):
            differing += await note(app_context, school, student_id, at)
    row = {"until": at, "students": len(asked), "differing": differing, "finished_at": app_context.clock()}
    async with app_context.database.transaction(school.scope) as session:
        put = insert(tables.ReplayRun).values(school_id=school.school_id, legal_day=legal_day(at), **row)
        await session.execute(put.on_conflict_do_nothing())
    return differing


def changed_since(school_id: UUID, last: datetime | None) -> Select[UUID]:
    """The students of a school of whom something was kept or recorded since the last run; all of them at first."""
    turn, standing = StudentLock, tables.StudentStanding
    found = (
        select(turn.student_id)
        .outerjoin(standing, standing.student_id == turn.student_id)
        .where(turn.school_id == school_id)
        .order_by(turn.student_id)
    )
    if last is None:
        return found
    since = last - OVERLAP
    return found.where(or_(turn.as_of > since, standing.as_of > since))


async def suspects(
    app_context: AppContext, school: SchoolOf, asked: Sequence[UUID], at: datetime
) -> list[UUID]:
    """Whose record seems to differ. Holds nobody's turn, so an act going on meanwhile may look like a difference."""
    async with app_context.database.transaction(school.scope) as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        found = await load_student_refs(session, asked)
        answers = await replays(session, list(found.values()), at)
    return [answer.student_id for answer in answers if answer.differences]


async def note(app_context: AppContext, school: SchoolOf, student_id: UUID, at: datetime) -> bool:
    """Look again with the student's turn held, and note the difference if it is one."""
    async with app_context.database.transaction(school.scope) as session:
        held = await lock_and_assess(session, student_id, at)
        [answer] = await replays(session, [held.subject], held.at)
        if not answer.differences:
            return False
        await note_difference(session, held, document(answer.differences), "replay")
    return True


def _batches(asked: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (asked[first : first + BATCH] for first in range(0, len(asked), BATCH))
