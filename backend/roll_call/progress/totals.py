"""Totals of one roll call in memory: a tree of units and classes that is updated by the changed counters. Pure.

A change of a class is added to its school and to every unit above it, and discards the cached JSON of these nodes. A
node is rendered again at its next request, once for all readers.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from backend.org.paths import superior_paths
from backend.roll_call.rules import Outcome

_OUTCOMES = tuple(each.value for each in Outcome)
_ZEROS = (0,) * len(_OUTCOMES)

Counts = Sequence[int]
"""Numbers by outcome, in the order of `Outcome`."""


@dataclass(frozen=True, slots=True)
class Unit:
    """An authority or school, as the totals name it."""

    id: UUID
    kind: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class ClassObligations:
    """A class of the audience with its denominators, as frozen at launch."""

    id: UUID
    school_id: UUID
    name: str
    obligations: int
    exempt: int


@dataclass(eq=False, slots=True)
class TotalsNode:
    """Totals of a unit or class. Always: present + missed + excused + undetermined + waiting = obligations."""

    unit_id: UUID
    kind: str
    name: str
    parent: "TotalsNode | None" = None
    children: "list[TotalsNode]" = field(default_factory=list)
    obligations: int = 0
    exempt: int = 0
    outcomes: list[int] = field(default_factory=lambda: list(_ZEROS))
    _own_json: str | None = None
    _json: str | None = None

    def add_obligations(self, audience: ClassObligations) -> None:
        """Add the denominators of a class to this node and all its ancestors."""
        node: TotalsNode | None = self
        while node is not None:
            node.obligations += audience.obligations
            node.exempt += audience.exempt
            node = node.parent

    def set_outcomes(self, outcomes: Counts) -> None:
        """Set the outcomes of a class and add the difference to all its ancestors."""
        difference = [new - old for new, old in zip(outcomes, self.outcomes, strict=True)]
        if not any(difference):
            return
        node: TotalsNode | None = self
        while node is not None:
            node.outcomes = [old + more for old, more in zip(node.outcomes, difference, strict=True)]
            node._own_json = node._json = None  # noqa: SLF001 - another instance of this class
            node = node.parent

    def render(self) -> str:
        """The node with its direct children, as JSON."""
        if self._json is None:
            children = "},".join(each._render_own() for each in self.children)  # noqa: SLF001 - same class
            self._json = f'{self._render_own()},"children":[{children}{"}" if children else ""}]}}'
        return self._json

    def _render_own(self) -> str:
        """The node alone as JSON, without the closing brace."""
        if self._own_json is None:
            fields = {
                "unit_id": str(self.unit_id),
                "kind": self.kind,
                "name": self.name,
                "obligations": self.obligations,
                "exempt": self.exempt,
                **dict(zip(_OUTCOMES, self.outcomes, strict=True)),
                "waiting": self.obligations - sum(self.outcomes),
            }
            self._own_json = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[:-1]
        return self._own_json


class RollCallTotals:
    """The totals tree of one roll call. Classes are children of their school."""

    def __init__(self, units: Mapping[UUID, TotalsNode], classes: Mapping[UUID, TotalsNode]) -> None:
        self._units = units
        self._classes = classes
        self._counters: dict[UUID, Counts] = {}
        self._pending: dict[UUID, Counts] = {}
        self.version = 0
        """Highest version of a counter that was applied."""

    @classmethod
    def build(cls, units: Sequence[Unit], classes: Sequence[ClassObligations]) -> Self:
        """A tree with zero outcomes. Children keep the given order; units without a class have no node."""
        paths = {unit.id: unit.path for unit in units}
        school_paths = {paths[school_id] for school_id in {each.school_id for each in classes}}
        needed = {path for school_path in school_paths for path in superior_paths(school_path)}
        by_path = {
            unit.path: TotalsNode(unit.id, unit.kind, unit.name) for unit in units if unit.path in needed
        }
        for path, node in by_path.items():
            node.parent = by_path.get(path.rpartition(".")[0])
            if node.parent is not None:
                node.parent.children.append(node)
        by_unit = {node.unit_id: node for node in by_path.values()}
        by_class: dict[UUID, TotalsNode] = {}
        for each in classes:
            school = by_unit[each.school_id]
            node = by_class[each.id] = TotalsNode(each.id, "class", each.name, parent=school)
            school.children.append(node)
            node.add_obligations(each)
        return cls(by_unit, by_class)

    def __len__(self) -> int:
        return len(self._classes)

    def apply_counters(self, counters: Iterable[tuple[UUID, Counts, int]]) -> None:
        """Replace the counters of some classes: class, outcomes, version."""
        for class_id, outcomes, version in counters:
            self.version = max(self.version, version)
            self._counters[class_id] = outcomes
            self._update_class(class_id)

    def replace_pending(self, pending: Mapping[UUID, Counts]) -> None:
        """Replace all changes that are not in a counter yet."""
        before, self._pending = self._pending, dict(pending)
        for class_id in before.keys() | pending.keys():
            self._update_class(class_id)

    def _update_class(self, class_id: UUID) -> None:
        node = self._classes.get(class_id)
        if node is None:
            return
        pending = self._pending.get(class_id, _ZEROS)
        counters = self._counters.get(class_id, _ZEROS)
        node.set_outcomes([a + b for a, b in zip(counters, pending, strict=True)])

    def render(self, unit: Unit) -> str:
        """The totals of a unit and its direct children as JSON; zeros for a unit outside the audience."""
        node = self._units.get(unit.id)
        return (node or TotalsNode(unit.id, unit.kind, unit.name)).render()

    def render_classes(self, school: Unit, class_ids: Collection[UUID]) -> str:
        """The totals of a school as if it had only these classes, as JSON."""
        root = TotalsNode(school.id, school.kind, school.name)
        node = self._units.get(school.id)
        for each in node.children if node else ():
            if each.unit_id in class_ids:
                root.children.append(each)
                root.obligations += each.obligations
                root.exempt += each.exempt
                root.outcomes = [a + b for a, b in zip(root.outcomes, each.outcomes, strict=True)]
        return root.render()
