"""The schools of a unit with what their superior looks at first: classes, students and sites in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.campus.queries import effective_versions
from backend.core.actor import Actor
from backend.core.database import equals_any
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.identity.tables import Account
from backend.org.queries import get_unit_in_subtree, is_in_subtree, is_named
from backend.org.tables import OrgUnit
from backend.people.tables import ENROLLED_CONDITION, ClassCounselor, SchoolClass, Student

_Superior = aliased(OrgUnit)


@dataclass(frozen=True, slots=True)
class SchoolSearch:
    """Filters of the list; None does not filter.

    `text` is part of a name or the beginning of a code, `unit_id` the own unit or one below it, `has_site` whether a site
    of the school is in force.
    """

    text: str | None = None
    unit_id: UUID | None = None
    has_site: bool | None = None


@dataclass(frozen=True, slots=True)
class SchoolRow:
    """A school with its superior unit. `students` counts those on the roll, `sites` those in force.

    `without_counselor` counts the classes with students and without a counselor, `registrars` the active accounts.
    """

    id: UUID
    code: str
    name: str
    path: str
    parent_id: UUID
    parent_name: str
    classes: int
    students: int
    sites: int
    without_counselor: int
    registrars: int


SchoolSort = Literal["name", "-name", "code", "-code"]
SCHOOL_SORTS = ListSorts(OrgUnit.id, {"name": by_name(OrgUnit.name), "code": OrgUnit.code}, default="code")


async def load_school_page(
    session: AsyncSession, actor: Actor, search: SchoolSearch, at: datetime, request: PageRequest
) -> ListPage[SchoolRow]:
    """A page of the schools of the actor's unit. Raises `NotFound` for a unit of others."""
    path = actor.org_path
    if search.unit_id is not None:
        path = (await get_unit_in_subtree(session, actor, search.unit_id)).path
    query = (
        select(OrgUnit.id, OrgUnit.code, OrgUnit.name, OrgUnit.path, _Superior.id, _Superior.name)
        .join(_Superior, _Superior.id == OrgUnit.parent_id)
        .where(OrgUnit.kind == "school", is_in_subtree(path))
    )
    if search.text is not None:
        query = query.where(is_named(search.text))
    if search.has_site is not None:
        in_force = effective_versions(at).subquery("in_force")
        has_site = exists().where(in_force.c.school_id == OrgUnit.id)
        query = query.where(has_site if search.has_site else ~has_site)
    found = await load_page(session, query, SCHOOL_SORTS, request)
    ids = [row[0] for row in found.rows]
    classes = await _count(session, _count_by_school(SchoolClass, ids))
    students = await _count(session, _count_by_school(Student, ids).where(text(ENROLLED_CONDITION)))
    in_force = effective_versions(at, ids).subquery("in_force")
    sites = await _count(session, select(in_force.c.school_id, func.count()).group_by(in_force.c.school_id))
    uncounseled = await _count(session, _count_classes_without_counselor(ids))
    registrars = await _count(session, _count_registrars(ids))
    counts = [
        tuple(count.get(each, 0) for count in (classes, students, sites, uncounseled, registrars))
        for each in ids
    ]
    return found.with_rows([SchoolRow(*(*row, *of)) for row, of in zip(found.rows, counts, strict=True)])


def _count_classes_without_counselor(school_ids: Sequence[UUID]) -> Select[UUID, int]:
    """The classes with students on the roll and without a current counselor."""
    has_students = exists().where(Student.class_id == SchoolClass.id, text(ENROLLED_CONDITION))
    has_counselor = exists().where(ClassCounselor.class_id == SchoolClass.id, ClassCounselor.until.is_(None))
    return _count_by_school(SchoolClass, school_ids).where(has_students, ~has_counselor)


def _count_registrars(school_ids: Sequence[UUID]) -> Select[UUID, int]:
    counts = select(Account.org_id, func.count()).group_by(Account.org_id)
    return counts.where(
        equals_any(Account.org_id, school_ids), Account.kind == "registrar", Account.status == "active"
    )


def _count_by_school(table: type[SchoolClass | Student], school_ids: Sequence[UUID]) -> Select[UUID, int]:
    counts = select(table.school_id, func.count()).group_by(table.school_id)
    return counts.where(equals_any(table.school_id, school_ids))


async def _count(session: AsyncSession, counts: Select[*tuple[Any, ...]]) -> Mapping[UUID, int]:
    return {row[0]: row[1] for row in await session.execute(counts)}
