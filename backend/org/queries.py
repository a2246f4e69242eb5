"""Reading the tree. Units are open to all who signed in; what hangs on them is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import BadInput, NotFound
from backend.core.ltree import Ltree
from backend.org.paths import PATH, superior_paths
from backend.org.tables import OrgUnit


def under(path: str) -> ColumnElement[bool]:
    """The SQL condition that a unit is the one at `path` or lies below it."""
    return OrgUnit.path.op("<@", is_comparison=True)(cast(path, Ltree()))


def schools_below(path: str) -> Select[UUID]:
    """The ids of the schools below a unit (a school is below itself), for use inside set-based SQL."""
    return select(OrgUnit.id).where(OrgUnit.kind == "school", under(path))


async def subtree(session: AsyncSession, path: str) -> Sequence[OrgUnit]:
    """The unit at `path` and all below it, in the order of the tree."""
    return (await session.scalars(select(OrgUnit).where(under(path)).order_by(OrgUnit.path))).all()


async def unit_by_code(session: AsyncSession, kind: str, code: str) -> OrgUnit:
    """The unit of a kind with a code; raises `NotFound`."""
    found = await session.scalar(select(OrgUnit).where(OrgUnit.kind == kind, OrgUnit.code == code))
    if found is None:
        raise NotFound
    return found


async def unit_below(session: AsyncSession, actor: Actor, unit_id: UUID) -> OrgUnit:
    """The unit, if it is the caller's own or lies below it; anything else answers `NotFound`."""
    found = await session.scalar(select(OrgUnit).where(OrgUnit.id == unit_id, under(actor.org_path)))
    if found is None:
        raise NotFound
    return found


async def superiors(session: AsyncSession, school_id: UUID) -> Sequence[OrgUnit]:
    """The authorities above a school, nearest first; raises `NotFound`."""
    school = await session.get(OrgUnit, school_id)
    if school is None:
        raise NotFound
    above = superior_paths(school.path)[1:]
    return (
        await session.scalars(select(OrgUnit).where(OrgUnit.path.in_(above)).order_by(OrgUnit.path.desc()))
    ).all()


@dataclass(frozen=True, slots=True)
class UnitSearch:
    """Which units of the caller's subtree to list; `text` is part of a name or the beginning of a code."""

    kind: str | None = None
    text: str | None = None


async def units_page(
    session: AsyncSession, actor: Actor, search: UnitSearch, after: str | None, limit: int
) -> Sequence[OrgUnit]:
    """At most `limit` units of the caller's subtree behind the path `after`, in the order of the tree."""
    page = select(OrgUnit).where(under(actor.org_path)).order_by(OrgUnit.path).limit(limit)
    if after is not None:
        if not PATH.fullmatch(after):
            raise BadInput(
                field="cursor", reason_zh="请从第一页重新开始", reason_en="start again from the first page"
            )
        page = page.where(OrgUnit.path > cast(after, Ltree()))
    if search.kind is not None:
        page = page.where(OrgUnit.kind == search.kind)
    if search.text is not None:
        named = OrgUnit.name.contains(search.text, autoescape=True)
        page = page.where(or_(named, OrgUnit.code.startswith(search.text, autoescape=True)))
    return (await session.scalars(page)).all()
