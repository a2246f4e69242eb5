"""Retention of the cells in which check-ins were counted: they are deleted once their term is over."""

from collections.abc import Collection, Sequence
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import LEGAL_ZONE, legal_day
from backend.org.terms import get_all_terms
from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind
from backend.roll_call.tables import CheckInCell


async def find_expired_cells(
    session: AsyncSession, _policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """The schools and terms with cells whose term has ended."""
    counted = select(CheckInCell.school_id, CheckInCell.term_code).distinct()
    keys = [(school_id, term) for school_id, term in await session.execute(counted)]
    terms = await get_all_terms(session, {school_id for school_id, _ in keys})
    today, expired = legal_day(at), list[Expired]()
    for school_id, code in keys:
        ends_on = next((each.ends_on for each in terms[school_id] if each.code == code), None)
        if ends_on is not None and ends_on < today:
            expired.append(Expired((school_id, code), datetime.combine(ends_on, time.max, LEGAL_ZONE)))
    return sorted(expired, key=lambda each: each.created_at)[:limit]


async def delete_cells(
    session: AsyncSession, keys: Sequence[tuple[UUID, str]], _at: datetime
) -> Collection[tuple[UUID, str]]:
    """Delete all cells of these schools and terms."""
    deleted = await session.execute(
        delete(CheckInCell)
        .where(tuple_(CheckInCell.school_id, CheckInCell.term_code).in_(keys))
        .returning(CheckInCell.school_id, CheckInCell.term_code)
    )
    return {(row.school_id, row.term_code) for row in deleted}


CHECK_IN_CELLS = RetentionKind("check_in_cells", find_expired_cells, delete_cells)
