"""The figures of one roll call in memory: every unit's and class's sums, kept by what changed. Pure.

A change of a class goes up to its school and all above it, and takes with it what was drawn of them; a board is drawn
again when somebody looks at it, once for all who do.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from backend.org.paths import superior_paths
from backend.roll_call.rules import Outcome

_OUTCOMES = tuple(each.value for each in Outcome)
_NOTHING = (0,) * len(_OUTCOMES)

Counts = Sequence[int]
"""By outcome, in the order of `Outcome`."""


@dataclass(frozen=True, slots=True)
class Unit:
    """An authority or school as a line names it."""

    id: UUID
    kind: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class ClassObligations:
    """A class of the audience, with its denominators as frozen at launch."""

    id: UUID
    school_id: UUID
    name: str
    obligations: int
    exempt: int


@dataclass(eq=False, slots=True)
class Line:
    """Sums of a unit or a class: present + missed + excused + undetermined + waiting = obligations, always."""

    unit_id: UUID
    kind: str
    name: str
    above: "Line | None" = None
    below: "list[Line]" = field(default_factory=list)
    obligations: int = 0
    exempt: int = 0
    outcomes: list[int] = field(default_factory=lambda: list(_NOTHING))
    _drawn: str | None = None
    _board: str | None = None

    def hold(self, asked: ClassObligations) -> None:
        """Take the denominators of a class in, here and above."""
        line: Line | None = self
        while line is not None:
            line.obligations += asked.obligations
            line.exempt += asked.exempt
            line = line.above

    def become(self, outcomes: Counts) -> None:
        """A class has these outcomes now: so much more, or less, above it too."""
        by = [now - before for now, before in zip(outcomes, self.outcomes, strict=True)]
        if not any(by):
            return
        line: Line | None = self
        while line is not None:
            line.outcomes = [before + more for before, more in zip(line.outcomes, by, strict=True)]
            line._drawn = line._board = None  # noqa: SLF001 - another of the same
            line = line.above

    def drawn(self) -> str:
        """The line as JSON, without its closing brace."""
        if self._drawn is None:
            shown = {
                "unit_id": str(self.unit_id),
                "kind": self.kind,
                "name": self.name,
                "obligations": self.obligations,
                "exempt": self.exempt,
                **dict(zip(_OUTCOMES, self.outcomes, strict=True)),
                "waiting": self.obligations - sum(self.outcomes),
            }
            self._drawn = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))[:-1]
        return self._drawn

    def board(self) -> str:
        """The line with those directly below it, as JSON."""
        if self._board is None:
            children = "},".join(each.drawn() for each in self.below)
            self._board = f'{self.drawn()},"children":[{children}{"}" if children else ""}]}}'
        return self._board


class RollCallTotals:
    """A roll call's lines, by unit; classes are below their schools."""

    def __init__(self, units: Mapping[UUID, Line], classes: Mapping[UUID, Line]) -> None:
        self._units = units
        self._classes = classes
        self._folded: dict[UUID, Counts] = {}
        self._noted: dict[UUID, Counts] = {}
        self.version = 0
        """Of the newest counter that was taken in."""

    @classmethod
    def of(cls, units: Sequence[Unit], classes: Sequence[ClassObligations]) -> Self:
        """Empty sums; whatever lies below a unit keeps the given order. Units without a class have no line."""
        paths = {unit.id: unit.path for unit in units}
        asked = {paths[school_id] for school_id in {each.school_id for each in classes}}
        concerned = {path for school in asked for path in superior_paths(school)}
        by_path = {unit.path: Line(unit.id, unit.kind, unit.name) for unit in units if unit.path in concerned}
        for path, line in by_path.items():
            line.above = by_path.get(path.rpartition(".")[0])
            if line.above is not None:
                line.above.below.append(line)
        by_unit = {line.unit_id: line for line in by_path.values()}
        by_class: dict[UUID, Line] = {}
        for each in classes:
            school = by_unit[each.school_id]
            line = by_class[each.id] = Line(each.id, "class", each.name, above=school)
            school.below.append(line)
            line.hold(each)
        return cls(by_unit, by_class)

    def __len__(self) -> int:
        return len(self._classes)

    def count(self, counters: Iterable[tuple[UUID, Counts, int]]) -> None:
        """Counters that changed, with their versions."""
        for class_id, outcomes, version in counters:
            self.version = max(self.version, version)
            self._folded[class_id] = outcomes
            self._settle(class_id)

    def note(self, noted: Mapping[UUID, Counts]) -> None:
        """All that was noted and is in no counter yet, in place of what was noted before."""
        before, self._noted = self._noted, dict(noted)
        for class_id in before.keys() | noted.keys():
            self._settle(class_id)

    def _settle(self, class_id: UUID) -> None:
        line = self._classes.get(class_id)
        if line is None:
            return
        noted = self._noted.get(class_id)
        folded = self._folded.get(class_id, _NOTHING)
        line.become(folded if noted is None else [a + b for a, b in zip(folded, noted, strict=True)])

    def board(self, unit: Unit) -> str:
        """A unit's sums and those directly below it, as JSON; zeros where none of it is asked."""
        line = self._units.get(unit.id)
        return (line or Line(unit.id, unit.kind, unit.name)).board()

    def board_of_classes(self, school: Unit, class_ids: Collection[UUID]) -> str:
        """A school as if it had these classes alone."""
        whole = Line(school.id, school.kind, school.name)
        line = self._units.get(school.id)
        for each in line.below if line else ():
            if each.unit_id in class_ids:
                whole.below.append(each)
                whole.obligations += each.obligations
                whole.exempt += each.exempt
                whole.outcomes = [a + b for a, b in zip(whole.outcomes, each.outcomes, strict=True)]
        return whole.board()
