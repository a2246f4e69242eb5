"""Declare, end and decide outages of the service or of a site's network (reading 8).

An outage affects every student below a unit, so background jobs recompute the students.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.org.paths import division_of, is_below
from backend.org.queries import get_unit_in_subtree, schools_below
from backend.policy.installed import policy_at
from backend.standing.outages import errors
from backend.standing.outages.queries import OutageView, has_declared_overlap, load_outage
from backend.standing.store.tables import OutageDecision, OutageEnded, OutageRecord
from backend.standing.tasks import enqueue_assessment


@dataclass(frozen=True, slots=True)
class DeclareOutage:
    """An outage for everyone below a unit. `ends_at` is None while it lasts."""

    org_id: UUID
    what: str
    starts_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DecideOutage:
    """The decision of the superior, with its opinion."""

    outage_id: UUID
    approved: bool
    opinion: str


async def declare_outage(
    session: AsyncSession, actor: Actor, command: DeclareOutage, at: datetime
) -> OutageView:
    """Declare an outage of the actor's unit or, as an authority, of a unit below it.

    It blocks automatic executions until a superior decides it, and excuses misses only once it is approved. Raises
    `NotFound`, `OutageTimesInvalid`, `OutageTooLong`, `OutageDeclaredBefore`.
    """
    _require_declaring_role(actor)
    unit = await get_unit_in_subtree(session, actor, command.org_id)
    max_duration = _max_duration(actor, at)
    ends_at = command.ends_at
    if command.starts_at > at or (ends_at is not None and not command.starts_at < ends_at <= at):
        raise errors.OutageTimesInvalid
    if (ends_at or at) - command.starts_at > max_duration:
        raise errors.OutageTooLong(hours=int(max_duration.total_seconds() // 3600))
    row = OutageRecord(
        id=new_id(),
        org_id=unit.id,
        org_path=unit.path,
        declarer_path=actor.org_path,
        what=command.what,
        starts_at=command.starts_at,
        ends_at=ends_at,
        lapses_at=command.starts_at + max_duration,
        declared_by=actor.account_id,
        declared_at=at,
    )
    await _lock_unit(session, row.org_id)
    if await has_declared_overlap(session, row):
        raise errors.OutageDeclaredBefore
    session.add(row)
    await session.flush()
    after = {"what": row.what, "starts_at": row.starts_at.isoformat()}
    await _audit_and_reassess(session, row, "outage.declared", after, at)
    return OutageView(row, None, None)


def _max_duration(actor: Actor, at: datetime) -> timedelta:
    return policy_at(legal_day(at), division_of(actor.org_path)).duration("outage.longest")


async def end_outage(
    session: AsyncSession, actor: Actor, outage_id: UUID, ends_at: datetime | None, at: datetime
) -> OutageView:
    """Record the end of an outage that was declared while it lasted. The default is now.

    Only the declaring unit may do this. Raises `NotFound`, `NotPermitted`, `OutageOver`, `OutageTimesInvalid`.
    """
    _require_declaring_role(actor)
    view = await _load_and_lock(session, actor, outage_id)
    row = view.outage
    if actor.org_path != row.declarer_path:
        raise NotPermitted(
            reason_zh="由申报单位登记结束时间", reason_en="only the declaring unit records the end"
        )
    if view.ends_at is not None or row.lapses_at <= at:
        raise errors.OutageOver
    end = ends_at or at
    if not row.starts_at < end <= at:
        raise errors.OutageTimesInvalid
    ended = OutageEnded(
        outage_id=row.id,
        org_path=row.org_path,
        ends_at=end,
        recorded_by=actor.account_id,
        recorded_at=at,
    )
    session.add(ended)
    await session.flush()
    await _audit_and_reassess(session, row, "outage.ended", {"ends_at": end.isoformat()}, at)
    return OutageView(row, ended, view.decision)


async def decide_outage(
    session: AsyncSession, actor: Actor, command: DecideOutage, at: datetime
) -> OutageView:
    """Approve or refuse an outage, once, as an authority above the declaring unit.

    Another account of the province decides the outages that the province declares; the declaring account never does
    (invariant 9). Raises `NotFound`, `NotPermitted`, `OutageDecided`.
    """
    view = await _load_and_lock(session, actor, command.outage_id)
    row = view.outage
    if not may_decide(actor, row):
        raise NotPermitted(
            reason_zh="由申报单位的上级审核；省级申报由省级另一账号审核",
            reason_en="only a superior of the declaring unit decides; for the province another of its accounts",
        )
    if view.decision is not None:
        raise errors.OutageDecided
    decision = OutageDecision(
        outage_id=row.id,
        org_path=row.org_path,
        approved=command.approved,
        opinion=command.opinion,
        declared_by=row.declared_by,
        decided_by=actor.account_id,
        at=at,
    )
    session.add(decision)
    await session.flush()
    await _audit_and_reassess(session, row, "outage.decided", {"approved": command.approved}, at)
    return OutageView(row, view.ended, decision)


def may_decide(actor: Actor, row: OutageRecord) -> bool:
    """Whether the actor is above the declaring unit or, for the province's own outages, another account of it."""
    if actor.role not in {"province", "bureau"} or actor.account_id == row.declared_by:
        return False
    if actor.org_path == row.declarer_path:
        return actor.role == "province"
    return is_below(row.declarer_path, actor.org_path)


def _require_declaring_role(actor: Actor) -> None:
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="中断由学校管理员或教育行政部门申报",
            reason_en="only registrars and authorities declare outages",
        )


async def _load_and_lock(session: AsyncSession, actor: Actor, outage_id: UUID) -> OutageView:
    """Lock the outage's unit until the commit and load the outage again if it is visible."""
    await _lock_unit(session, (await load_outage(session, actor, outage_id)).outage.org_id)
    return await load_outage(session, actor, outage_id)


async def _lock_unit(session: AsyncSession, org_id: UUID) -> None:
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"outages/{org_id}", 0))
    await session.execute(select(lock))


async def _audit_and_reassess(
    session: AsyncSession, row: OutageRecord, action: str, after: dict[str, Any], at: datetime
) -> None:
    """Write the audit entry and enqueue a new assessment of every school below the unit."""
    audit.record(session, audit.Act(action, "outage", str(row.id), row.org_path, after=after), at)
    schools = await session.scalars(schools_below(row.org_path))
    await enqueue_assessment(session, schools.all())
