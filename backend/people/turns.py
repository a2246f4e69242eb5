"""Facts about one student take turns: each is stamped after everything that was judged before it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bulk import insert_rows
from backend.people.tables import StudentTurn

TICK = timedelta(microseconds=1)
_JUST_AFTER = "ON CONFLICT (student_id) DO UPDATE SET as_of = greatest(student_turn.as_of + interval '1 microsecond', excluded.as_of)"
"""By a `TICK`."""


async def take_turn(session: AsyncSession, school_id: UUID, student_id: UUID, at: datetime) -> datetime:
    """Wait for whoever else decides on the student, and hold the turn until the commit.

    Returns the instant to record under: `at`, or just after the last turn if that was later. So a request that
    waited can never slip a fact in before a decision that did not know of it, and replaying the facts gives
    that decision again (invariant 6). Take it before reading what the decision rests on.
    """
    return (await take_turns(session, {student_id: school_id}, at))[student_id]


async def take_turns(
    session: AsyncSession, schools: Mapping[UUID, UUID], at: datetime
) -> dict[UUID, datetime]:
    """`take_turn` for many, given their schools; everyone takes turns in one order, so that nobody waits in a ring."""
    rows = [
        {"student_id": student_id, "school_id": schools[student_id], "as_of": at}
        for student_id in sorted(schools)
    ]
    taken = await insert_rows(session, StudentTurn, rows, then=_JUST_AFTER, returning=("student_id", "as_of"))
    return {row.student_id: row.as_of for row in taken}
