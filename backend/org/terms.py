"""Terms and vacations: which term a day belongs to in a school, and who may open terms.

Misses are counted by term (HN334-4.1a, reading 3). If a school could start its own term in the middle of the
province's, its students' misses would be reset. So the uppermost unit with a term on a day determines its *code*, and
the units below may only vary the dates and vacations of that code. Misses are counted by `TermView.code`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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
from backend.org.paths import is_below, superior_paths
from backend.org.queries import get_unit_in_subtree, is_in_subtree
from backend.org.tables import OrgUnit, Term, VacationRecord


@dataclass(frozen=True, slots=True)
class Vacation:
    """Days without school within a term; both days are included. `declared_at` is None until it is recorded."""

    name: str
    starts_on: date
    ends_on: date
    declared_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class NewTerm:
    """A term to open for a unit and all units below it; both days are included."""

    org_id: UUID
    code: str
    starts_on: date
    ends_on: date
    vacations: tuple[Vacation, ...] = ()


@dataclass(frozen=True, slots=True)
class TermView:
    """A term as it applies to a school; `org_id` is the unit that set these dates."""

    id: UUID
    org_id: UUID
    code: str
    starts_on: date
    ends_on: date
    vacations: tuple[Vacation, ...]

    def in_vacation(self, day: date) -> bool:
        """Tell whether periods pause on the day (readings 4 and 5)."""
        return any(vacation.starts_on <= day <= vacation.ends_on for vacation in self.vacations)


async def open_term(session: AsyncSession, actor: Actor, term: NewTerm, at: datetime) -> TermView:
    """Open a term for the actor's own unit or, for an authority, a unit below it.

    The database creates the partitions of a new code in the same transaction (`partitions.py`). Raises `TermOrder`,
    `TermOverlaps` (with another term of the unit), `TermContradictsSuperior`, and `TermsBusy`.
    """
    _require_term_manager(actor)
    unit = await get_unit_in_subtree(session, actor, term.org_id)
    if term.starts_on >= term.ends_on or not all(_is_within(vacation, term) for vacation in term.vacations):
        raise TermOrder
    await _check_superior_terms(session, unit, term)
    values = {"org_id": unit.id, "code": term.code, "starts_on": term.starts_on, "ends_on": term.ends_on}
    statement = insert(Term).values(id=new_id(), created_at=at, **values).on_conflict_do_nothing()
    try:
        term_id = await session.scalar(statement.returning(Term.id))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):  # raised by the trigger that creates the partitions
            raise TermsBusy from error
        raise
    if term_id is None:
        raise TermOverlaps
    for vacation in term.vacations:
        _add_vacation(session, term_id, vacation, at)
    await session.flush()
    record(session, Act("term_opened", "term", str(term_id), unit.path, after=_audit_values(term)), at)
    return TermView(term_id, unit.id, term.code, term.starts_on, term.ends_on, term.vacations)


async def declare_vacation(
    session: AsyncSession, actor: Actor, term_id: UUID, vacation: Vacation, at: datetime
) -> TermView:
    """Add a vacation to a term that is already open. Raises `NotFound` and `TermOrder`."""
    _require_term_manager(actor)
    term = await session.get(Term, term_id)
    if term is None:
        raise NotFound
    unit = await get_unit_in_subtree(session, actor, term.org_id)
    if not _is_within(vacation, term):
        raise TermOrder
    _add_vacation(session, term.id, vacation, at)
    await session.flush()
    after = {
        "name": vacation.name,
        "starts_on": str(vacation.starts_on),
        "ends_on": str(vacation.ends_on),
    }
    record(session, Act("vacation_declared", "term", str(term.id), unit.path, after=after), at)
    return (await load_term_views(session, [term]))[0]


def _require_term_manager(actor: Actor) -> None:
    if not _may_set_terms(actor):
        raise NotPermitted(
            reason_zh="学期由学校管理员或教育行政部门设置",
            reason_en="only registrars and authorities set terms",
        )


def _may_set_terms(actor: Actor) -> bool:
    return actor.role in {"province", "bureau", "registrar"}


def _is_within(vacation: Vacation, term: NewTerm | Term) -> bool:
    return term.starts_on <= vacation.starts_on <= vacation.ends_on <= term.ends_on


def _add_vacation(session: AsyncSession, term_id: UUID, vacation: Vacation, at: datetime) -> None:
    session.add(
        VacationRecord(
            id=new_id(),
            term_id=term_id,
            name=vacation.name,
            starts_on=vacation.starts_on,
            ends_on=vacation.ends_on,
            declared_at=at,
        )
    )


def _audit_values(term: NewTerm) -> dict[str, str]:
    return {"code": term.code, "starts_on": str(term.starts_on), "ends_on": str(term.ends_on)}


async def _check_superior_terms(session: AsyncSession, unit: OrgUnit, term: NewTerm) -> None:
    """Raise `TermContradictsSuperior` if a unit above has a term with another code on some of these days."""
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


async def get_term(session: AsyncSession, unit_id: UUID, day: date) -> TermView:
    """Return the term of a school (or any unit) on a legal day. Raises `TermNotSet`."""
    terms = await get_terms(session, [unit_id], day)
    if unit_id not in terms:
        raise TermNotSet(day=day.isoformat())
    return terms[unit_id]


async def require_one_term(session: AsyncSession, unit_id: UUID, first: date, last: date) -> str:
    """Return the code of the term that includes both days. Raises `TermNotSet` or `DaysInTwoTerms` (reading 3)."""
    first_term, last_term = await get_term(session, unit_id, first), await get_term(session, unit_id, last)
    if first_term.code != last_term.code:
        raise DaysInTwoTerms(first=first.isoformat(), last=last.isoformat())
    return first_term.code


async def find_vacation_days(
    session: AsyncSession, unit_ids: Collection[UUID], first: date, last: date
) -> list[date]:
    """Return the days from `first` to `last` that lie in a vacation of any of the units, in order."""
    views = [view for views in (await get_all_terms(session, unit_ids)).values() for view in views]
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [day for day in days if any(view.in_vacation(day) for view in views)]


async def get_terms(session: AsyncSession, unit_ids: Collection[UUID], day: date) -> dict[UUID, TermView]:
    """Return the terms of many units on a legal day, by unit. A unit without a term is left out."""
    unit, above = aliased(OrgUnit), aliased(OrgUnit)
    rows = await session.execute(
        select(unit.id, Term)
        .join_from(unit, above, above.path.op("@>", is_comparison=True)(unit.path))
        .join(Term, Term.org_id == above.id)
        .where(unit.id.in_(unit_ids), Term.starts_on <= day, Term.ends_on >= day)
        .order_by(unit.id, above.path)
    )
    from_top_down: dict[UUID, list[Term]] = defaultdict(list)
    for unit_id, term in rows:
        from_top_down[unit_id].append(term)
    applicable = {unit_id: _applicable_term(terms) for unit_id, terms in from_top_down.items()}
    views = {view.id: view for view in await load_term_views(session, set(applicable.values()))}
    return {unit_id: views[term.id] for unit_id, term in applicable.items()}


async def get_all_terms(session: AsyncSession, unit_ids: Collection[UUID]) -> dict[UUID, list[TermView]]:
    """Return all terms of each unit in order of time. For each code, the lowest unit that has it sets the dates."""
    unit, above = aliased(OrgUnit), aliased(OrgUnit)
    rows = await session.execute(
        select(unit.id, Term)
        .join_from(unit, above, above.path.op("@>", is_comparison=True)(unit.path))
        .join(Term, Term.org_id == above.id)
        .where(unit.id.in_(unit_ids))
        .order_by(unit.id, above.path)
    )
    by_code: dict[UUID, dict[str, Term]] = {unit_id: {} for unit_id in unit_ids}
    for unit_id, term in rows:  # from the top down: a lower unit replaces the dates of a higher one
        by_code[unit_id][term.code] = term
    distinct = {term.id: term for terms in by_code.values() for term in terms.values()}
    views = {view.id: view for view in await load_term_views(session, distinct.values())}
    return {
        unit_id: sorted((views[term.id] for term in terms.values()), key=lambda view: view.starts_on)
        for unit_id, terms in by_code.items()
    }


def _applicable_term(from_top_down: Sequence[Term]) -> Term:
    """Of the terms that include a day: the lowest unit's term with the code of the uppermost unit's term."""
    return [term for term in from_top_down if term.code == from_top_down[0].code][-1]


async def load_term_views(session: AsyncSession, terms: Iterable[Term]) -> list[TermView]:
    """Load the vacations of the terms. Returns the terms in the given order."""
    terms = list(terms)
    vacations: dict[UUID, list[Vacation]] = defaultdict(list)
    rows = await session.scalars(
        select(VacationRecord)
        .where(VacationRecord.term_id.in_([term.id for term in terms]))
        .order_by(VacationRecord.starts_on)
    )
    for row in rows:
        vacations[row.term_id].append(Vacation(row.name, row.starts_on, row.ends_on, row.declared_at))
    return [
        TermView(term.id, term.org_id, term.code, term.starts_on, term.ends_on, tuple(vacations[term.id]))
        for term in terms
    ]


@dataclass(frozen=True, slots=True)
class ListedTerm:
    """A term of the list. `may_change`: the reader may declare vacations in it."""

    term: TermView
    may_change: bool


async def find_terms(
    session: AsyncSession, actor: Actor, after: UUID | None, limit: int
) -> Sequence[ListedTerm]:
    """Return at most `limit` terms after the id `after`: those of the actor's unit, the units above it and below it."""
    above = OrgUnit.path.op("@>", is_comparison=True)(cast(actor.org_path, Ltree()))
    page = (
        select(Term, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == Term.org_id)
        .where(or_(above, is_in_subtree(actor.org_path)))
        .order_by(Term.id)
        .limit(limit)
    )
    if after is not None:
        page = page.where(Term.id > after)
    rows = (await session.execute(page)).all()
    views = await load_term_views(session, [term for term, _ in rows])
    return [
        ListedTerm(view, _may_set_terms(actor) and is_below(path, actor.org_path))
        for view, (_, path) in zip(views, rows, strict=True)
    ]
