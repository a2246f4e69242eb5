"""Queries of quarantined enrolments. Both schools and their superiors see a row; each school sees its own person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.org.paths import common_superior_path
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.people.tables import QuarantinedEnrolment, Student
from backend.standing.transfers.rules import QuarantineState

_School, _Holder = aliased(OrgUnit), aliased(OrgUnit)


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """A quarantined row. `name_on_roll` is None for the school that imported it, `name_in_file` for the other one."""

    row: QuarantinedEnrolment
    school: OrgUnit
    holder: OrgUnit
    deciding_unit: OrgUnit
    """The lowest unit above both schools."""
    name_in_file: str | None
    name_on_roll: str | None


@dataclass(frozen=True, slots=True)
class QuarantineSearch:
    """Filters of the list; None means no filter. `school_id` is either of the two schools."""

    state: QuarantineState | None = None
    school_id: UUID | None = None
    unit_id: UUID | None = None
    """A unit above either of the two schools, or one of them."""


QuarantineSort = Literal["imported_at", "-imported_at"]
QUARANTINE_SORTS = ListSorts(
    QuarantinedEnrolment.id, {"imported_at": QuarantinedEnrolment.id}, default="-imported_at"
)
"""An id begins with the time."""


async def load_quarantine_page(
    session: AsyncSession, actor: Actor, search: QuarantineSearch, request: PageRequest
) -> ListPage[QuarantineView]:
    """A page of the rows of the tenant scope. Raises `NotFound` for a unit of others."""
    row = QuarantinedEnrolment
    page = _select(actor)
    if search.state is not None:
        page = page.where(row.state == search.state)
    if search.school_id is not None:
        page = page.where(or_(row.school_id == search.school_id, row.holder_school_id == search.school_id))
    if search.unit_id is not None:
        schools = await load_school_scope(session, actor, search.unit_id)
        page = page.where(
            or_(is_of_schools(row.school_id, schools), is_of_schools(row.holder_school_id, schools))
        )
    found = await load_page(session, page, QUARANTINE_SORTS, request)
    return found.with_rows(await _build_views(session, actor, found.rows))


async def load_quarantined(session: AsyncSession, actor: Actor, quarantine_id: UUID) -> QuarantineView:
    """One row of the tenant scope; raises `NotFound`."""
    views = await _load_views(session, actor, _select(actor).where(QuarantinedEnrolment.id == quarantine_id))
    if not views:
        raise NotFound
    return views[0]


def _select(actor: Actor) -> Select[QuarantinedEnrolment, OrgUnit, OrgUnit, str | None]:
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="重复学籍由两校学籍管理员和上级教育部门办理",
            reason_en="only registrars and authorities handle quarantined enrolments",
        )
    row = QuarantinedEnrolment
    # Row-level security hides the other school's student, so the outer join gives None.
    return (
        select(row, _School, _Holder, Student.name)
        .join(_School, _School.id == row.school_id)
        .join(_Holder, _Holder.id == row.holder_school_id)
        .outerjoin(Student, Student.id == row.holder_student_id)
    )


async def _load_views(
    session: AsyncSession, actor: Actor, query: Select[QuarantinedEnrolment, OrgUnit, OrgUnit, str | None]
) -> list[QuarantineView]:
    return await _build_views(session, actor, (await session.execute(query)).all())


async def _build_views(session: AsyncSession, actor: Actor, rows: Sequence[Any]) -> list[QuarantineView]:
    paths = {common_superior_path(school.path, holder.path) for _, school, holder, _ in rows}
    units = {
        unit.path: unit for unit in await session.scalars(select(OrgUnit).where(OrgUnit.path.in_(paths)))
    }
    return [
        QuarantineView(
            row=row,
            school=school,
            holder=holder,
            deciding_unit=units[common_superior_path(school.path, holder.path)],
            name_in_file=None if actor.school_id == holder.id else row.row_data.get("name"),
            name_on_roll=name,
        )
        for row, school, holder, name in rows
    ]
