"""Queries on the tree of units. Every signed-in account may read units, though not the data of their students."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, cast, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.actor import Actor
from backend.core.database import equals_any
from backend.core.errors import NotFound
from backend.core.ltree import Ltree
from backend.core.pagination import CursorInvalid
from backend.org.paths import PATH, superior_paths
from backend.org.tables import OrgUnit


def is_in_subtree(path: str) -> ColumnElement[bool]:
    """SQL condition: the unit is the one at `path` or below it."""
    return OrgUnit.path.op("<@", is_comparison=True)(cast(path, Ltree()))


def is_named(text: str) -> ColumnElement[bool]:
    """SQL condition: the text is part of the unit's name, or the beginning of its code."""
    in_name = OrgUnit.name.contains(text, autoescape=True)
    return or_(in_name, OrgUnit.code.startswith(text, autoescape=True))


def schools_below(path: str) -> Select[UUID]:
    """Select the ids of the schools below a unit (a school is below itself), for use as a subquery."""
    return select(OrgUnit.id).where(OrgUnit.kind == "school", is_in_subtree(path))


async def list_subtree(session: AsyncSession, path: str) -> Sequence[OrgUnit]:
    """Return the unit at `path` and all units below it, ordered by path."""
    return (await session.scalars(select(OrgUnit).where(is_in_subtree(path)).order_by(OrgUnit.path))).all()


async def get_unit_by_code(session: AsyncSession, kind: str, code: str) -> OrgUnit:
    """Return the unit of a kind with a code. Raises `NotFound`."""
    unit = await session.scalar(select(OrgUnit).where(OrgUnit.kind == kind, OrgUnit.code == code))
    if unit is None:
        raise NotFound
    return unit


async def get_unit_in_subtree(session: AsyncSession, actor: Actor, unit_id: UUID) -> OrgUnit:
    """Return the unit if it is the actor's own or below it, else raise `NotFound`."""
    unit = await session.scalar(select(OrgUnit).where(OrgUnit.id == unit_id, is_in_subtree(actor.org_path)))
    if unit is None:
        raise NotFound
    return unit


async def load_school_scope(
    session: AsyncSession, actor: Actor, unit_id: UUID | None = None
) -> Sequence[UUID] | None:
    """The schools whose rows a list shows: those of the actor's unit, or of a unit below it. None stands for all schools.

    Row-level security hides the others anyway, but only a condition on the column finds the rows by an index. Raises
    `NotFound` for a unit that is neither the actor's own nor below it.
    """
    if unit_id is None:
        if actor.school_id is not None:
            return [actor.school_id]
        if actor.role == "province":
            return None
    path = actor.org_path if unit_id is None else (await get_unit_in_subtree(session, actor, unit_id)).path
    return (await session.scalars(schools_below(path))).all()


def is_of_schools(
    school_id: InstrumentedAttribute[UUID], schools: Sequence[UUID] | None
) -> ColumnElement[bool]:
    """SQL condition: the row belongs to one of the schools; true for None."""
    return true() if schools is None else equals_any(school_id, schools)


async def list_superiors(session: AsyncSession, school_id: UUID) -> Sequence[OrgUnit]:
    """Return the authorities above a school, nearest first. Raises `NotFound`."""
    school = await session.get(OrgUnit, school_id)
    if school is None:
        raise NotFound
    above = superior_paths(school.path)[1:]
    return (
        await session.scalars(select(OrgUnit).where(OrgUnit.path.in_(above)).order_by(OrgUnit.path.desc()))
    ).all()


@dataclass(frozen=True, slots=True)
class UnitSearch:
    """A filter for `find_units`; `text` is part of a name or the beginning of a code."""

    kind: str | None = None
    text: str | None = None
    parent_id: UUID | None = None


async def find_units(
    session: AsyncSession, actor: Actor, search: UnitSearch, after: str | None, limit: int
) -> Sequence[OrgUnit]:
    """Return at most `limit` units of the actor's subtree after the path `after`, ordered by path."""
    page = select(OrgUnit).where(is_in_subtree(actor.org_path)).order_by(OrgUnit.path).limit(limit)
    if after is not None:
        if not PATH.fullmatch(after):
            raise CursorInvalid
        page = page.where(OrgUnit.path > cast(after, Ltree()))
    if search.kind is not None:
        page = page.where(OrgUnit.kind == search.kind)
    if search.parent_id is not None:
        page = page.where(OrgUnit.parent_id == search.parent_id)
    if search.text is not None:
        page = page.where(is_named(search.text))
    return (await session.scalars(page)).all()
