"""Facts about one student take turns: each is stamped after everything that was judged before it."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, literal
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.people.tables import StudentTurn

TICK = timedelta(microseconds=1)


async def take_turn(session: AsyncSession, school_id: UUID, student_id: UUID, at: datetime) -> datetime:
    """Wait for whoever else decides on the student, and hold the turn until the commit.

    Returns the instant to record under: `at`, or just after the last turn if that was later. So a request that
    waited can never slip a fact in before a decision that did not know of it, and replaying the facts gives
    that decision again (invariant 6). Take it before reading what the decision rests on.
    """
    row = {"student_id": student_id, "school_id": school_id, "as_of": at}
    put = insert(StudentTurn).values(row)
    after = func.greatest(StudentTurn.as_of + literal(TICK), put.excluded.as_of)
    taken = await session.execute(
        put.on_conflict_do_update(index_elements=["student_id"], set_={"as_of": after}).returning(
            StudentTurn.as_of
        )
    )
    return taken.scalar_one()
