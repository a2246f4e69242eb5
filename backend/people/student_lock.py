"""Facts about one student take turns: each is stamped after everything that was judged before it."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import NotFound

TICK = timedelta(microseconds=1)
"""A turn is later than the one before by this at least."""


async def lock_student(session: AsyncSession, student_id: UUID, at: datetime) -> datetime:
    """Wait for whoever else decides on the student, and hold the turn until the commit.

    Returns the instant to record under: `at`, or just after the last turn if that was later. So a request that
    waited can never slip a fact in before a decision that did not know of it, and replaying the facts gives
    that decision again (invariant 6). Take it before reading what the decision rests on. Raises `NotFound` where the
    scope admits no such student.
    """
    taken = await lock_students(session, [student_id], at)
    if not taken:
        raise NotFound
    return taken[student_id]


async def lock_students(
    session: AsyncSession, student_ids: Collection[UUID], at: datetime
) -> dict[UUID, datetime]:
    """`lock_student` for all of them that the scope admits; everyone takes turns in one order, so that nobody waits in a ring."""
    await session.flush()  # the statement below is not the mapper's, which would see to it
    taken = await session.execute(_TAKE, {"ids": list(student_ids), "at": at})
    return {row.student_id: row.as_of for row in taken}


_TAKE = text(
    "INSERT INTO student_lock (student_id, school_id, as_of)"
    " SELECT id, school_id, CAST(:at AS timestamptz) FROM student"
    " WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id"
    " ON CONFLICT (student_id) DO UPDATE"
    " SET as_of = greatest(student_lock.as_of + interval '1 microsecond', excluded.as_of)"
    " RETURNING student_id, as_of"
)
