"""A page of a student's timeline for a member of the staff."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.keys import KeyRing
from backend.people.tables import Student
from backend.standing.access import visible_students
from backend.timeline.kinds import TimelineKind, readable_kinds
from backend.timeline.loaders import Reading, load_records
from backend.timeline.positions import TimelineStudent, load_positions
from backend.timeline.schemas import TimelineEntry


@dataclass(frozen=True, slots=True)
class TimelineSearch:
    """Which page: of one kind or of all, older than `before` (time, id), with at most `limit` records."""

    kind: TimelineKind | None
    before: tuple[datetime, UUID] | None
    limit: int


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """The records of a page, the position after it (None: it is the last), and the kinds that the actor may read."""

    records: Sequence[TimelineEntry]
    following: tuple[datetime, UUID] | None
    kinds: Sequence[TimelineKind]


async def load_timeline(
    session: AsyncSession,
    actor: Actor,
    student_id: UUID,
    search: TimelineSearch,
    keys: KeyRing,
    at: datetime,
) -> TimelinePage:
    """A page, newest first. Raises `NotFound` for a student whom the actor may not see, `NotPermitted` for a kind."""
    kinds = readable_kinds(actor, search.kind)
    student = await _load_student(session, actor, student_id)
    positions = await load_positions(session, student, kinds, at, search.before, search.limit + 1)
    shown = positions[: search.limit]
    following = (shown[-1].at, shown[-1].id) if len(positions) > search.limit else None
    records = await load_records(Reading(session, actor, student, keys, at), shown)
    return TimelinePage(records, following, readable_kinds(actor))


async def _load_student(session: AsyncSession, actor: Actor, student_id: UUID) -> TimelineStudent:
    row = (
        await session.execute(
            select(Student.id, Student.school_id).where(
                Student.id == student_id, visible_students(actor, Student.id.expression)
            )
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    return TimelineStudent(*row)
