"""Queries on outages: those of the units below the caller, and those of units above, which affect the caller too."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.org.paths import superior_paths
from backend.org.queries import get_unit_in_subtree
from backend.standing.store.tables import OutageDecision, OutageEnded, OutageRecord

OutageState = Literal["waiting", "approved", "refused"]


@dataclass(frozen=True, slots=True)
class OutageView:
    """An outage, its end if recorded later, and the superior's decision."""

    outage: OutageRecord
    ended: OutageEnded | None
    decision: OutageDecision | None

    @property
    def ends_at(self) -> datetime | None:
        """The end of the outage; None if it is not known."""
        return self.outage.ends_at or (self.ended.ends_at if self.ended else None)

    @property
    def state(self) -> OutageState:
        if self.decision is None:
            return "waiting"
        return "approved" if self.decision.approved else "refused"


@dataclass(frozen=True, slots=True)
class OutageSearch:
    """Filters of the list; None means no filter."""

    state: OutageState | None = None
    org_id: UUID | None = None
    unit_id: UUID | None = None
    """Only the outages of this unit and of those below it."""


OutageSort = Literal["declared_at", "-declared_at", "starts_at", "-starts_at"]
OUTAGE_SORTS = ListSorts(
    OutageRecord.id,
    {"declared_at": OutageRecord.id, "starts_at": OutageRecord.starts_at},
    default="-declared_at",
)

_STATES = {
    "waiting": OutageDecision.outage_id.is_(None),
    "approved": OutageDecision.approved.is_(True),
    "refused": OutageDecision.approved.is_(False),
}


async def load_outage(session: AsyncSession, actor: Actor, outage_id: UUID) -> OutageView:
    """One visible outage; raises `NotFound` if it does not exist or is not visible."""
    query = _select_visible_outages(actor).where(OutageRecord.id == outage_id)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound
    return OutageView(*row)


async def load_outages_page(
    session: AsyncSession, actor: Actor, search: OutageSearch, request: PageRequest
) -> ListPage[OutageView]:
    """A page of the visible outages. Raises `NotFound` for a unit of others."""
    page = _select_visible_outages(actor)
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.org_id is not None:
        page = page.where(OutageRecord.org_id == search.org_id)
    if search.unit_id is not None:
        unit = await get_unit_in_subtree(session, actor, search.unit_id)
        page = page.where(
            or_(
                OutageRecord.org_path == unit.path,
                OutageRecord.org_path.startswith(unit.path + ".", autoescape=True),
            )
        )
    found = await load_page(session, page, OUTAGE_SORTS, request)
    return found.with_rows([OutageView(*row) for row in found.rows])


async def has_declared_overlap(session: AsyncSession, row: OutageRecord) -> bool:
    """Whether the same declaring unit already declared an overlapping outage of the same unit, whatever its state."""
    ends_at = func.coalesce(OutageRecord.ends_at, OutageEnded.ends_at, OutageRecord.lapses_at)
    overlapping = (
        select(OutageRecord.id)
        .outerjoin(OutageEnded, OutageEnded.outage_id == OutageRecord.id)
        .where(
            OutageRecord.org_id == row.org_id,
            OutageRecord.declarer_path == row.declarer_path,
            OutageRecord.starts_at < (row.ends_at or row.lapses_at),
            ends_at > row.starts_at,
        )
        .limit(1)
    )
    return await session.scalar(overlapping) is not None


def _select_visible_outages(actor: Actor) -> Select[*tuple[Any, ...]]:
    return (
        select(OutageRecord, OutageEnded, OutageDecision)
        .outerjoin(OutageEnded, OutageEnded.outage_id == OutageRecord.id)
        .outerjoin(OutageDecision, OutageDecision.outage_id == OutageRecord.id)
        .where(_concerns_unit_of(actor))
    )


def _concerns_unit_of(actor: Actor) -> ColumnElement[bool]:
    path = OutageRecord.org_path
    return or_(
        path.startswith(actor.org_path + ".", autoescape=True), path.in_(superior_paths(actor.org_path))
    )
