"""Exceptions to the area limit of filed sites: a superior grants them, before the school files (HN334-3.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.errors import AreaExceptionTooLarge, ValidityOrder
from backend.campus.limits import SiteLimits, site_limits
from backend.campus.tables import SiteAreaException
from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.paths import division_of, is_below
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.policy.installed import policy_at


@dataclass(frozen=True, slots=True)
class AreaException:
    """The area that a school's sites may have, why, and until when; by default without end."""

    max_area_m2: int
    reason: str
    valid_to: datetime | None = None


async def grant_area_exception(
    session: AsyncSession, actor: Actor, school_id: UUID, granted: AreaException, at: datetime
) -> SiteAreaException:
    """Permit larger sites for a school below the actor. A later exception replaces it, also by a smaller area.

    Raises `NotFound`, `NotPermitted`, `ValidityOrder`, and `AreaExceptionTooLarge` above the limit of policy.
    """
    school = await _load_school(session, actor, school_id)
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="面积例外由学校的上级教育行政部门批准",
            reason_en="only the school's superiors can grant an exception",
        )
    limit = policy_at(legal_day(at), division_of(school.path)).integer("campus.site.max_area_exception")
    if granted.max_area_m2 > limit:
        raise AreaExceptionTooLarge(max_area_m2=limit)
    if granted.valid_to is not None and granted.valid_to <= at:
        raise ValidityOrder
    row = SiteAreaException(
        id=new_id(),
        school_id=school_id,
        max_area_m2=granted.max_area_m2,
        reason=granted.reason,
        valid_to=granted.valid_to,
        granted_by=actor.account_id,
        granted_at=at,
    )
    session.add(row)
    await session.flush()
    after = {"max_area_m2": granted.max_area_m2, "reason": granted.reason}
    record(session, Act("site_area_excepted", "school", str(school_id), school.path, after=after), at)
    return row


async def load_area_exceptions(
    session: AsyncSession, actor: Actor, school_id: UUID
) -> Sequence[SiteAreaException]:
    """The exceptions of a school, newest first; raises `NotFound` for a school outside the actor's scope."""
    await _load_school(session, actor, school_id)
    rows = (
        select(SiteAreaException)
        .where(SiteAreaException.school_id == school_id)
        .order_by(SiteAreaException.granted_at.desc(), SiteAreaException.id.desc())
    )
    return (await session.scalars(rows)).all()


async def _load_school(session: AsyncSession, actor: Actor, school_id: UUID) -> OrgUnit:
    """Units are readable by everyone, so the path is compared."""
    school = await session.get(OrgUnit, school_id)
    if school is None or school.kind != "school" or not is_below(school.path, actor.org_path):
        raise NotFound
    return school


async def load_site_limits(session: AsyncSession, actor: Actor, at: datetime) -> SiteLimits:
    """What the outlines of the actor's school are checked against. For a superior: the most lenient programme."""
    division = division_of(actor.org_path)
    policy = policy_at(legal_day(at), division)
    if actor.school_id is None:
        return site_limits(policy)
    programmes = await session.scalars(
        select(Student.programme).where(Student.school_id == actor.school_id).distinct()
    )
    newest = (
        select(SiteAreaException)
        .where(SiteAreaException.school_id == actor.school_id, SiteAreaException.granted_at <= at)
        .order_by(SiteAreaException.granted_at.desc(), SiteAreaException.id.desc())
        .limit(1)
    )
    exception = (await session.scalars(newest)).one_or_none()
    in_force = exception is not None and (exception.valid_to is None or exception.valid_to > at)
    return site_limits(
        policy,
        programmes=frozenset(programmes),
        exception_m2=exception.max_area_m2 if exception is not None and in_force else None,
        division=division,
    )
