"""Outages of ours or of a site's network (reading 8): declared, ended, and judged by whoever stands above.

An outage concerns everybody below a unit, so what follows for the students is a job of its own.
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
from backend.org.queries import schools_below, unit_below
from backend.policy.installed import policy_at
from backend.standing.claims import errors
from backend.standing.outages.queries import OutageView, outage_for, outages_over
from backend.standing.store.tables import OutageDecision, OutageEnded, OutageRecord
from backend.standing.tasks import enqueue_assessment


@dataclass(frozen=True, slots=True)
class DeclareOutage:
    """What was out for everybody below a unit, from when until when; None while it lasts."""

    org_id: UUID
    what: str
    starts_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DecideOutage:
    """The superior's answer, with its opinion."""

    outage_id: UUID
    approved: bool
    opinion: str


async def declare_outage(
    session: AsyncSession, actor: Actor, command: DeclareOutage, at: datetime
) -> OutageView:
    """Declare an outage of the own unit or, for an authority, of one below it.

    Until a superior has judged it, it stops automatic executions; it excuses nobody before it is approved. Raises
    `NotFound`, `OutageTimesInvalid`, `OutageTooLong`, `OutageDeclaredBefore`.
    """
    _must_administer(actor)
    unit = await unit_below(session, actor, command.org_id)
    longest = _longest(actor, at)
    ends_at = command.ends_at
    if command.starts_at > at or (ends_at is not None and not command.starts_at < ends_at <= at):
        raise errors.OutageTimesInvalid
    if (ends_at or at) - command.starts_at > longest:
        raise errors.OutageTooLong(hours=int(longest.total_seconds() // 3600))
    row = OutageRecord(
        id=new_id(),
        org_id=unit.id,
        org_path=unit.path,
        declarer_path=actor.org_path,
        what=command.what,
        starts_at=command.starts_at,
        ends_at=ends_at,
        lapses_at=command.starts_at + longest,
        declared_by=actor.account_id,
        declared_at=at,
    )
    await _one_at_a_time(session, row.org_id)
    if await outages_over(session, row):
        raise errors.OutageDeclaredBefore
    session.add(row)
    await session.flush()
    after = {"what": row.what, "starts_at": row.starts_at.isoformat()}
    await _follow(session, row, "outage.declared", after, at)
    return OutageView(row, None, None)


def _longest(actor: Actor, at: datetime) -> timedelta:
    return policy_at(legal_day(at), division_of(actor.org_path)).duration("outage.longest")


async def end_outage(
    session: AsyncSession, actor: Actor, outage_id: UUID, ends_at: datetime | None, at: datetime
) -> OutageView:
    """Record when an outage that was declared while it lasted was over; now, if nothing is said.

    By an account of the unit that declared it. Raises `NotFound`, `NotPermitted`, `OutageOver`, `OutageTimesInvalid`.
    """
    _must_administer(actor)
    view = await _held(session, actor, outage_id)
    row = view.outage
    if actor.org_path != row.declarer_path:
        raise NotPermitted(
            reason_zh="由申报单位登记结束时间", reason_en="the unit that declared it records its end"
        )
    if view.ends_at is not None or row.lapses_at <= at:
        raise errors.OutageOver
    over_at = ends_at or at
    if not row.starts_at < over_at <= at:
        raise errors.OutageTimesInvalid
    ended = OutageEnded(
        outage_id=row.id,
        org_path=row.org_path,
        ends_at=over_at,
        recorded_by=actor.account_id,
        recorded_at=at,
    )
    session.add(ended)
    await session.flush()
    await _follow(session, row, "outage.ended", {"ends_at": over_at.isoformat()}, at)
    return OutageView(row, ended, view.decision)


async def decide_outage(
    session: AsyncSession, actor: Actor, command: DecideOutage, at: datetime
) -> OutageView:
    """Approve or refuse, once, by an authority above the declaring unit; the province's own by a colleague there.

    Never by whoever declared it (invariant 9). Raises `NotFound`, `NotPermitted`, `OutageDecided`.
    """
    view = await _held(session, actor, command.outage_id)
    row = view.outage
    if not may_decide(actor, row):
        raise NotPermitted(
            reason_zh="由申报单位的上级审核；省级申报由省级另一账号审核",
            reason_en="a superior of the declaring unit decides; for the province another account of it",
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
    await _follow(session, row, "outage.decided", {"approved": command.approved}, at)
    return OutageView(row, view.ended, decision)


def may_decide(actor: Actor, row: OutageRecord) -> bool:
    """Whether the caller stands above the declaring unit, or beside the declarer in the province."""
    if actor.role not in {"province", "bureau"} or actor.account_id == row.declared_by:
        return False
    if actor.org_path == row.declarer_path:
        return actor.role == "province"
    return is_below(row.declarer_path, actor.org_path)


def _must_administer(actor: Actor) -> None:
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="中断由学校管理员或教育行政部门申报",
            reason_en="outages are declared by registrars and authorities",
        )


async def _held(session: AsyncSession, actor: Actor, outage_id: UUID) -> OutageView:
    """The outage as the caller may see it, held against other acts of its unit until the commit."""
    await _one_at_a_time(session, (await outage_for(session, actor, outage_id)).outage.org_id)
    return await outage_for(session, actor, outage_id)


async def _one_at_a_time(session: AsyncSession, org_id: UUID) -> None:
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"outages/{org_id}", 0))
    await session.execute(select(lock))


async def _follow(
    session: AsyncSession, row: OutageRecord, action: str, after: dict[str, Any], at: datetime
) -> None:
    """Into the audit, and every school below is assessed anew by a job of this transaction."""
    audit.record(session, audit.Act(action, "outage", str(row.id), row.org_path, after=after), at)
    schools = await session.scalars(schools_below(row.org_path))
    await enqueue_assessment(session, schools.all())
