"""The lock on a student, which gives the facts recorded about one student strictly increasing times."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import NotFound

TICK = timedelta(microseconds=1)
"""The minimum difference between the times of two facts about one student."""


async def lock_student(session: AsyncSession, student_id: UUID, at: datetime) -> datetime:
    """Lock the student until the end of the transaction, and return the time to record the fact at.

    This is `at`, or just after the last recorded fact if that is later. So a request that waited for the lock cannot
    record a fact before a decision that did not know of it, and replaying the facts gives the same decision
    (invariant 6). Lock before reading what the decision depends on. Raises `NotFound` for a student outside the scope.
    """
    times = await lock_students(session, [student_id], at)
    if not times:
        raise NotFound
    return times[student_id]


async def lock_students(
    session: AsyncSession, student_ids: Collection[UUID], at: datetime
) -> dict[UUID, datetime]:
    """Lock all these students that are in the scope, in a fixed order, which prevents deadlocks."""
    await session.flush()  # a text statement does not trigger autoflush
    rows = await session.execute(_LOCK_STUDENTS, {"ids": list(student_ids), "at": at})
    return {row.student_id: row.as_of for row in rows}


_LOCK_STUDENTS = text(
    "INSERT INTO student_lock (student_id, school_id, as_of)"
    " SELECT id, school_id, CAST(:at AS timestamptz) FROM student"
    " WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id"
    " ON CONFLICT (student_id) DO UPDATE"
    " SET as_of = greatest(student_lock.as_of + interval '1 microsecond', excluded.as_of)"
    " RETURNING student_id, as_of"
)
