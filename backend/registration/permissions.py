"""A superior permits a school to add students who were registered before (MOE19-2.3a)."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.org.paths import division_of
from backend.org.queries import get_unit_in_subtree, is_of_schools, load_school_scope
from backend.policy.installed import policy_at
from backend.registration.errors import PermissionTooLong
from backend.registration.policy import registration_law
from backend.registration.tables import CarryOverPermission

PERMISSION_SORTS = ListSorts(CarryOverPermission.id, {"at": CarryOverPermission.id}, default="-at")
"""An id begins with the time."""


@dataclass(frozen=True, slots=True)
class PermitCarryOver:
    """Open a school for students of closed seasons, up to and including a day."""

    school_id: UUID
    until: date
    reasons: str


def require_registration_reader(actor: Actor) -> None:
    """Counselors and students see no registrations."""
    if actor.role not in {"registrar", "bureau", "province"}:
        raise NotPermitted(
            reason_zh="学籍注册由学校管理员和教育行政部门查看",
            reason_en="only registrars and authorities see registrations",
        )


async def permit_carry_over(
    session: AsyncSession, actor: Actor, command: PermitCarryOver, at: datetime
) -> CarryOverPermission:
    """Grant the permission as an authority above the school.

    Raises `NotPermitted`, `NotFound`, and `PermissionTooLong` for more days than a school's first load has.
    """
    if actor.role not in {"bureau", "province"}:
        raise NotPermitted(
            reason_zh="补录由上级教育部门开通", reason_en="an authority above the school permits it"
        )
    school = await get_unit_in_subtree(session, actor, command.school_id)
    if school.kind != "school":
        raise NotFound
    today = legal_day(at)
    last = today + registration_law(policy_at(today, division_of(school.path))).initial_load
    if not today <= command.until <= last:
        raise PermissionTooLong(first=today.isoformat(), last=last.isoformat())
    permission = CarryOverPermission(
        id=new_id(),
        school_id=school.id,
        until=command.until,
        reasons=command.reasons,
        granted_by=actor.account_id,
        at=at,
    )
    session.add(permission)
    await session.flush()
    after = {"until": command.until.isoformat(), "reasons": command.reasons}
    record(session, Act("carry_over.permitted", "school", str(school.id), school.path, after=after), at)
    return permission


async def load_permission_page(
    session: AsyncSession, actor: Actor, unit_id: UUID | None, request: PageRequest
) -> ListPage[CarryOverPermission]:
    """A page of the permissions of the own unit, the newest first. Raises `NotPermitted` and `NotFound`."""
    require_registration_reader(actor)
    schools = await load_school_scope(session, actor, unit_id)
    query = select(CarryOverPermission).where(is_of_schools(CarryOverPermission.school_id, schools))
    page = await load_page(session, query, PERMISSION_SORTS, request)
    return page.with_rows([row[0] for row in page.rows])
