"""Reading outages: those of the units below the caller, and those above that reach down to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.errors import NotFound
from backend.org.paths import superior_paths
from backend.standing.tables import OutageDecision, OutageDeclared, OutageEnded

OutageState = Literal["waiting", "approved", "refused"]


@dataclass(frozen=True, slots=True)
class OutageView:
    """An outage, the end that was recorded later, and the superior's answer."""

    outage: OutageDeclared
    ended: OutageEnded | None
    decision: OutageDecision | None

    @property
    def ends_at(self) -> datetime | None:
        """When it was over; None while that is not known."""
        return self.outage.ends_at or (self.ended.ends_at if self.ended else None)

    @property
    def state(self) -> OutageState:
        if self.decision is None:
            return "waiting"
        return "approved" if self.decision.approved else "refused"


@dataclass(frozen=True, slots=True)
class OutageSearch:
    """Which outages; what is not given narrows nothing."""

    state: OutageState | None = None
    org_id: UUID | None = None


_STATES = {
    "waiting": OutageDecision.outage_id.is_(None),
    "approved": OutageDecision.approved.is_(True),
    "refused": OutageDecision.approved.is_(False),
}


async def outage_for(session: AsyncSession, acting: Acting, outage_id: UUID) -> OutageView:
    """One outage that concerns the caller; else `NotFound`, whatever the cause."""
    asked = _seen_by(acting).where(OutageDeclared.id == outage_id)
    found = (await session.execute(asked)).one_or_none()
    if found is None:
        raise NotFound
    return OutageView(*found)


async def outages_page(
    session: AsyncSession, acting: Acting, search: OutageSearch, before: UUID | None, limit: int
) -> Sequence[OutageView]:
    """At most `limit` outages that concern the caller, newest first, older than the id `before`."""
    page = _seen_by(acting).order_by(OutageDeclared.id.desc()).limit(limit)
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.org_id is not None:
        page = page.where(OutageDeclared.org_id == search.org_id)
    if before is not None:
        page = page.where(OutageDeclared.id < before)
    return [OutageView(*row) for row in await session.execute(page)]


async def outages_over(session: AsyncSession, row: OutageDeclared) -> bool:
    """Whether the same side declared an outage of the same unit for some of that time before, whatever became of it."""
    ends_at = func.coalesce(OutageDeclared.ends_at, OutageEnded.ends_at, OutageDeclared.lapses_at)
    near = (
        select(OutageDeclared.id)
        .outerjoin(OutageEnded, OutageEnded.outage_id == OutageDeclared.id)
        .where(
            OutageDeclared.org_id == row.org_id,
            OutageDeclared.declarer_path == row.declarer_path,
            OutageDeclared.starts_at < (row.ends_at or row.lapses_at),
            ends_at > row.starts_at,
        )
        .limit(1)
    )
    return await session.scalar(near) is not None


def _seen_by(acting: Acting) -> Select[*tuple[Any, ...]]:
    return (
        select(OutageDeclared, OutageEnded, OutageDecision)
        .outerjoin(OutageEnded, OutageEnded.outage_id == OutageDeclared.id)
        .outerjoin(OutageDecision, OutageDecision.outage_id == OutageDeclared.id)
        .where(_concerns(acting))
    )


def _concerns(acting: Acting) -> ColumnElement[bool]:
    path = OutageDeclared.org_path
    return or_(
        path.startswith(acting.org_path + ".", autoescape=True), path.in_(superior_paths(acting.org_path))
    )
