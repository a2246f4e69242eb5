"""The counselor whom a student turns to."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class OwnCounselor:
    """A counselor as the students of the class see them."""

    id: UUID
    name: str
    phone: str | None


async def load_own_counselor(session: AsyncSession) -> OwnCounselor | None:
    """The counselor of the class of the student in whose scope the session is; None if the class has none."""
    row = (await session.execute(text("SELECT id, name, phone FROM definer.own_counselor()"))).first()
    return None if row is None else OwnCounselor(row.id, row.name, row.phone)
