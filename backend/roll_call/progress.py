"""Live progress: frozen denominators, counters of outcomes, and a poke through Redis when something changed.

PostgreSQL counts outcomes in the statement that writes them (a trigger notes what it added to each class; a job folds
the notes), so figures are never wrong by what a crash lost between two stores. Redis only carries the nudge that tells
open dashboards to look again.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.acting import Acting
from backend.org.queries import schools_below
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass
from backend.roll_call.outcomes import term_of
from backend.roll_call.oversight import overseen_classes
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeCount, OutcomeDelta, RollCallClass

CHANNEL = "dianming:progress:"


@dataclass(slots=True)
class Figures:
    """The sums of a unit: present + missed + excused + undetermined + waiting = obligations, always."""

    obligations: int = 0
    exempt: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))

    @property
    def waiting(self) -> int:
        """Obligations without an outcome yet; zero once settled."""
        return self.obligations - sum(self.outcomes.values())

    def add(self, other: "Figures") -> None:
        """Add another unit's sums."""
        self.obligations += other.obligations
        self.exempt += other.exempt
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] += count


@dataclass(frozen=True, slots=True)
class UnitProgress:
    """One line of the progress: a unit, or a class (kind `class`), with its sums."""

    unit_id: UUID
    kind: str
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Progress:
    """A unit's own sums and those of what lies directly below it."""

    unit: UnitProgress
    children: tuple[UnitProgress, ...]


async def poke(redis: "Redis", roll_call_id: UUID) -> None:
    """Tell open dashboards that figures changed. Losing Redis loses only the nudge."""
    try:
        await redis.publish(CHANNEL + str(roll_call_id), b"1")
    except RedisError:
        return


def _sums(roll_call_id: UUID, key: InstrumentedAttribute[UUID]) -> Select[*tuple[Any, ...]]:
    """Denominators and outcomes in effect, by `key` of `roll_call_class`: what was folded and what was noted since."""
    noted = (
        select(
            OutcomeDelta.class_id,
            *(func.sum(getattr(OutcomeDelta, each.value)).label(each.value) for each in Outcome),
        )
        .where(OutcomeDelta.roll_call_id == roll_call_id)
        .group_by(OutcomeDelta.class_id)
        .subquery()
    )

    def summed(outcome: Outcome) -> ColumnElement[int]:
        folded, since = getattr(OutcomeCount, outcome.value), noted.c[outcome.value]
        return func.sum(func.coalesce(folded, 0) + func.coalesce(since, 0)).label(outcome.value)

    counted = and_(
        OutcomeCount.roll_call_id == RollCallClass.roll_call_id,
        OutcomeCount.school_id == RollCallClass.school_id,
        OutcomeCount.class_id == RollCallClass.class_id,
    )
    return (
        select(
            key,
            func.sum(RollCallClass.owed + RollCallClass.excused).label("obligations"),
            func.sum(RollCallClass.exempt).label("exempt"),
            *(summed(outcome) for outcome in Outcome),
        )
        .select_from(RollCallClass)
        .outerjoin(OutcomeCount, counted)
        .outerjoin(noted, noted.c.class_id == RollCallClass.class_id)
        .where(RollCallClass.term_code == term_of(roll_call_id), RollCallClass.roll_call_id == roll_call_id)
        .group_by(key)
    )


async def _figures(session: AsyncSession, asked: Select[*tuple[Any, ...]]) -> dict[UUID, Figures]:
    found: dict[UUID, Figures] = {}
    for key, obligations, exempt, *outcomes in await session.execute(asked):
        by_outcome = {each.value: int(count) for each, count in zip(Outcome, outcomes, strict=True)}
        found[key] = Figures(int(obligations), int(exempt), by_outcome)
    return found


async def progress_of(session: AsyncSession, acting: Acting, roll_call_id: UUID, unit: OrgUnit) -> Progress:
    """Sums of `unit` and of its children: units below it, or the classes of a school."""
    if unit.kind == "school":
        return await _school_progress(session, acting, roll_call_id, unit)
    asked = _sums(roll_call_id, RollCallClass.school_id)
    schools = await _figures(session, asked.where(RollCallClass.school_id.in_(schools_below(unit.path))))
    found = await session.execute(select(OrgUnit.id, OrgUnit.path).where(OrgUnit.id.in_(schools)))
    sums: dict[str, Figures] = defaultdict(Figures)
    total = Figures()
    depth = unit.path.count(".") + 1
    for school_id, path in found:
        sums[".".join(str(path).split(".")[: depth + 1])].add(schools[school_id])
        total.add(schools[school_id])
    children = await session.scalars(
        select(OrgUnit).where(OrgUnit.path.in_(list(sums))).order_by(OrgUnit.code)
    )
    lines = tuple(UnitProgress(child.id, child.kind, child.name, sums[child.path]) for child in children)
    return Progress(UnitProgress(unit.id, unit.kind, unit.name, total), lines)


async def _school_progress(
    session: AsyncSession, acting: Acting, roll_call_id: UUID, unit: OrgUnit
) -> Progress:
    """By class; a counselor's own classes."""
    asked = _sums(roll_call_id, RollCallClass.class_id).where(RollCallClass.school_id == unit.id)
    overseen = overseen_classes(acting)
    if overseen is not None:
        asked = asked.where(RollCallClass.class_id.in_(overseen))
    mine = await _figures(session, asked)
    named = await session.scalars(
        select(SchoolClass).where(SchoolClass.id.in_(list(mine))).order_by(SchoolClass.name)
    )
    lines = tuple(UnitProgress(each.id, "class", each.name, mine[each.id]) for each in named)
    total = Figures()
    for line in lines:
        total.add(line.figures)
    return Progress(UnitProgress(unit.id, unit.kind, unit.name, total), lines)


def rendered(progress: Progress) -> dict[str, Any]:
    """The progress as plain data."""

    def line(unit: UnitProgress) -> dict[str, Any]:
        figures = unit.figures
        return {
            "unit_id": str(unit.unit_id),
            "kind": unit.kind,
            "name": unit.name,
            "obligations": figures.obligations,
            "exempt": figures.exempt,
            **{outcome.value: figures.outcomes[outcome] for outcome in Outcome},
            "waiting": figures.waiting,
        }

    return {**line(progress.unit), "children": [line(child) for child in progress.children]}


def as_event(progress: Progress) -> str:
    """The progress as the data of one server-sent event."""
    return json.dumps(rendered(progress), ensure_ascii=False, separators=(",", ":"))
