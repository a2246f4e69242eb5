"""Guardians on the roster whom a notice can reach, and the links that were issued to them.

Other people may see a guardian's phone, so texts to guardians name a student by surname only.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.people.tables import Guardian, GuardianLink, Student

RevokedBecause = Literal["consent_withdrawn", "left_roster"]


async def load_reachable_guardians(session: AsyncSession, student_id: UUID) -> Sequence[Guardian]:
    """The student's guardians with a phone number, in the order of the roster."""
    reachable = select(Guardian).where(
        Guardian.student_id == student_id, Guardian.is_guardian, Guardian.phone.is_not(None)
    )
    return (await session.scalars(reachable.order_by(Guardian.position))).all()


async def load_short_name(session: AsyncSession, student_id: UUID) -> str:
    """How a text to a guardian names the student: surname and 同学."""
    student = await session.get_one(Student, student_id)
    return f"{student.name[:1]}同学"


async def revoke_links(
    session: AsyncSession, student_id: UUID, because: RevokedBecause, at: datetime
) -> None:
    """Revoke all links to a student that are not revoked yet."""
    await session.execute(
        update(GuardianLink)
        .where(GuardianLink.student_id == student_id, GuardianLink.revoked_at.is_(None))
        .values(revoked_at=at, revoked_because=because)
        .execution_options(synchronize_session=False)
    )
