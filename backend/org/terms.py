"""Terms and vacations: which term a day belongs to in a school, and who may say so.

Misses are counted by term (HN334-4.1a, reading 3). A school that could begin a term of its own in the middle
of the province's would wipe its students' misses, so the uppermost unit with a term on a day decides its
*code*, and the units below may only vary the dates and vacations of that code. Count by `TermView.code`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy import cast, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.ltree import Ltree
from backend.org.errors import (
    DaysInTwoTerms,
    TermContradictsSuperior,
    TermNotSet,
    TermOrder,
    TermOverlaps,
    TermsBusy,
)
from backend.org.paths import superior_paths
from backend.org.queries import under, unit_below
from backend.org.tables import OrgUnit, Term, Vacation


@dataclass(frozen=True, slots=True)
class Break:
    """A vacation; both days belong to it."""

    name: str
    starts_on: date
    ends_on: date


@dataclass(frozen=True, slots=True)
class NewTerm:
    """A term to open for a unit and all below it; both days belong to it."""

    org_id: UUID
    code: str
    starts_on: date
    ends_on: date
    vacations: tuple[Break, ...] = ()


@dataclass(frozen=True, slots=True)
class TermView:
    """A term as it holds in a school; `org_id` is the unit that set these dates."""

    id: UUID
    org_id: UUID
    code: str
    starts_on: date
    ends_on: date
    vacations: tuple[Break, ...]

    def in_vacation(self, day: date) -> bool:
        """Whether periods pause on the day (readings 4 and 5)."""
        return any(pause.starts_on <= day <= pause.ends_on for pause in self.vacations)


async def open_term(session: AsyncSession, actor: Actor, term: NewTerm, at: datetime) -> TermView:
    """Open a term for the caller's own unit or, for an authority, one below it.

    The database makes the partitions of a new code in the same transaction (`partitions`). Raises `TermOrder`,
    `TermOverlaps` (the unit's own terms), `TermContradictsSuperior`, and `TermsBusy`.
    """
    _must_set_terms(actor)
    unit = await unit_below(session, actor, term.org_id)
    if term.starts_on >= term.ends_on or not all(_within(pause, term) for pause in term.vacations):
        raise TermOrder
    await _agree_with_superiors(session, unit, term)
    values = {"org_id": unit.id, "code": term.code, "starts_on": term.starts_on, "ends_on": term.ends_on}
    row = insert(Term).values(id=new_id(), created_at=at, **values).on_conflict_do_nothing()
    try:
        opened = await session.scalar(row.returning(Term.id))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):  # for the partitions of the term
            raise TermsBusy from error
        raise
    if opened is None:
        raise TermOverlaps
    for pause in term.vacations:
        _add_vacation(session, opened, pause)
    await session.flush()
    record(session, Act("term_opened", "term", str(opened), unit.path, after=_facts(term)), at)
    return TermView(opened, unit.id, term.code, term.starts_on, term.ends_on, term.vacations)


async def declare_vacation(
    session: AsyncSession, actor: Actor, term_id: UUID, pause: Break, at: datetime
) -> TermView:
    """Add a vacation to a term that was opened before its dates were known; raises `NotFound`, `TermOrder`."""
    _must_set_terms(actor)
    term = await session.get(Term, term_id)
    if term is None:
        raise NotFound
    unit = await unit_below(session, actor, term.org_id)
    if not _within(pause, term):
        raise TermOrder
    _add_vacation(session, term.id, pause)
    await session.flush()
    after = {"name": pause.name, "starts_on": str(pause.starts_on), "ends_on": str(pause.ends_on)}
    record(session, Act("vacation_declared", "term", str(term.id), unit.path, after=after), at)
    return (await term_views(session, [term]))[0]


def _must_set_terms(actor: Actor) -> None:
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="学期由学校管理员或教育行政部门设置",
            reason_en="terms are set by registrars and authorities",
        )


def _within(pause: Break, term: NewTerm | Term) -> bool:
    return term.starts_on <= pause.starts_on <= pause.ends_on <= term.ends_on


def _add_vacation(session: AsyncSession, term_id: UUID, pause: Break) -> None:
    session.add(
        Vacation(
            id=new_id(), term_id=term_id, name=pause.name, starts_on=pause.starts_on, ends_on=pause.ends_on
        )
    )


def _facts(term: NewTerm) -> dict[str, str]:
    return {"code": term.code, "starts_on": str(term.starts_on), "ends_on": str(term.ends_on)}


async def _agree_with_superiors(session: AsyncSession, unit: OrgUnit, term: NewTerm) -> None:
    other = await session.scalar(
        select(Term)
        .join(OrgUnit, OrgUnit.id == Term.org_id)
        .where(
            OrgUnit.path.in_(superior_paths(unit.path)[1:]),
            Term.code != term.code,
            Term.starts_on <= term.ends_on,
            Term.ends_on >= term.starts_on,
        )
        .limit(1)
    )
    if other is not None:
        raise TermContradictsSuperior(
            term_code=other.code, starts_on=str(other.starts_on), ends_on=str(other.ends_on)
        )


async def term_of(session: AsyncSession, unit_id: UUID, day: date) -> TermView:
    """The term that the legal day belongs to in a school (or in any unit); raises `TermNotSet`."""
    terms = await terms_of(session, [unit_id], day)
    if unit_id not in terms:
        raise TermNotSet(day=day.isoformat())
    return terms[unit_id]


async def require_one_term(session: AsyncSession, unit_id: UUID, first: date, last: date) -> str:
    """The code of the one term that both days belong to; raises `TermNotSet` or `DaysInTwoTerms` (reading 3)."""
    begun, ended = await term_of(session, unit_id, first), await term_of(session, unit_id, last)
    if begun.code != ended.code:
        raise DaysInTwoTerms(first=first.isoformat(), last=last.isoformat())
    return begun.code


async def terms_of(session: AsyncSession, unit_ids: Collection[UUID], day: date) -> dict[UUID, TermView]:
    """The terms of many units on a legal day, by unit; one without a term is left out."""
    unit, above = aliased(OrgUnit), aliased(OrgUnit)
    rows = await session.execute(
        select(unit.id, Term)
        .join_from(unit, above, above.path.op("@>", is_comparison=True)(unit.path))
        .join(Term, Term.org_id == above.id)
        .where(unit.id.in_(unit_ids), Term.starts_on <= day, Term.ends_on >= day)
        .order_by(unit.id, above.path)
    )
    downwards: dict[UUID, list[Term]] = defaultdict(list)
    for unit_id, term in rows:
        downwards[unit_id].append(term)
    chosen = {unit_id: _in_force(terms) for unit_id, terms in downwards.items()}
    views = {view.id: view for view in await term_views(session, set(chosen.values()))}
    return {unit_id: views[term.id] for unit_id, term in chosen.items()}


async def all_terms_of(session: AsyncSession, unit_ids: Collection[UUID]) -> dict[UUID, list[TermView]]:
    """Every term of each unit, whenever it was, in order: of one code the dates of the lowest unit that set them."""
    unit, above = aliased(OrgUnit), aliased(OrgUnit)
    rows = await session.execute(
        select(unit.id, Term)
        .join_from(unit, above, above.path.op("@>", is_comparison=True)(unit.path))
        .join(Term, Term.org_id == above.id)
        .where(unit.id.in_(unit_ids))
        .order_by(unit.id, above.path)
    )
    chosen: dict[UUID, dict[str, Term]] = {unit_id: {} for unit_id in unit_ids}
    for unit_id, term in rows:
        chosen[unit_id][term.code] = term
    wanted = {term.id: term for terms in chosen.values() for term in terms.values()}
    views = {view.id: view for view in await term_views(session, wanted.values())}
    return {
        unit_id: sorted((views[term.id] for term in terms.values()), key=lambda view: view.starts_on)
        for unit_id, terms in chosen.items()
    }


def _in_force(downwards: Sequence[Term]) -> Term:
    """Of the terms that cover a day, uppermost unit first: the lowest one with the uppermost one's code."""
    return [term for term in downwards if term.code == downwards[0].code][-1]


async def term_views(session: AsyncSession, terms: Iterable[Term]) -> list[TermView]:
    """The terms with their vacations, in the order given."""
    wanted = list(terms)
    pauses: dict[UUID, list[Break]] = defaultdict(list)
    found = (
        select(Vacation)
        .where(Vacation.term_id.in_([term.id for term in wanted]))
        .order_by(Vacation.starts_on)
    )
    for row in await session.scalars(found):
        pauses[row.term_id].append(Break(row.name, row.starts_on, row.ends_on))
    return [
        TermView(term.id, term.org_id, term.code, term.starts_on, term.ends_on, tuple(pauses[term.id]))
        for term in wanted
    ]


async def terms_page(
    session: AsyncSession, actor: Actor, after: UUID | None, limit: int
) -> Sequence[TermView]:
    """At most `limit` terms that hold in the caller's unit or were set below it, behind the id `after`."""
    above = OrgUnit.path.op("@>", is_comparison=True)(cast(actor.org_path, Ltree()))
    page = (
        select(Term)
        .join(OrgUnit, OrgUnit.id == Term.org_id)
        .where(or_(above, under(actor.org_path)))
        .order_by(Term.id)
        .limit(limit)
    )
    if after is not None:
        page = page.where(Term.id > after)
    return await term_views(session, await session.scalars(page))
