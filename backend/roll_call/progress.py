"""Live progress: frozen denominators, outcomes in effect, and a poke through Redis when something changed.

Figures are summed by PostgreSQL from the outcomes in effect, so they are never wrong by what a crash lost between
two stores. Redis only carries the nudge that tells open dashboards to look again.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass
from backend.roll_call.outcomes import counts, term_of
from backend.roll_call.oversight import overseen_classes
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import RollCallClass

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


async def by_class(
    session: AsyncSession, acting: Acting, roll_call_id: UUID
) -> dict[UUID, tuple[UUID, Figures]]:
    """School and sums of every class that the scope admits; a counselor's own classes."""
    classes: dict[UUID, tuple[UUID, Figures]] = {}
    denominators = select(RollCallClass).where(
        RollCallClass.term_code == term_of(roll_call_id), RollCallClass.roll_call_id == roll_call_id
    )
    overseen = overseen_classes(acting)
    if overseen is not None:
        denominators = denominators.where(RollCallClass.class_id.in_(overseen))
    frozen = await session.scalars(denominators)
    for row in frozen:
        classes[row.class_id] = (row.school_id, Figures(row.owed + row.excused, row.exempt))
    for (class_id, outcome), count in (await counts(session, roll_call_id)).items():
        if class_id in classes:
            classes[class_id][1].outcomes[outcome] = count
    return classes


async def progress_of(session: AsyncSession, acting: Acting, roll_call_id: UUID, unit: OrgUnit) -> Progress:
    """Sums of `unit` and of its children: units below it, or the classes of a school."""
    classes = await by_class(session, acting, roll_call_id)
    if unit.kind == "school":
        return await _school_progress(session, unit, classes)
    schools = {school_id for school_id, _ in classes.values()}
    found = await session.execute(select(OrgUnit.id, OrgUnit.path).where(OrgUnit.id.in_(schools)))
    paths = {school_id: str(path) for school_id, path in found}
    sums: dict[str, Figures] = defaultdict(Figures)
    total = Figures()
    depth = unit.path.count(".") + 1
    for school_id, figures in classes.values():
        labels = paths[school_id].split(".")
        if not (paths[school_id] + ".").startswith(unit.path + "."):
            continue
        sums[".".join(labels[: depth + 1])].add(figures)
        total.add(figures)
    children = await session.scalars(
        select(OrgUnit).where(OrgUnit.path.in_(list(sums))).order_by(OrgUnit.code)
    )
    lines = tuple(UnitProgress(child.id, child.kind, child.name, sums[child.path]) for child in children)
    return Progress(UnitProgress(unit.id, unit.kind, unit.name, total), lines)


async def _school_progress(
    session: AsyncSession, unit: OrgUnit, classes: dict[UUID, tuple[UUID, Figures]]
) -> Progress:
    mine = {class_id: figures for class_id, (school_id, figures) in classes.items() if school_id == unit.id}
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
