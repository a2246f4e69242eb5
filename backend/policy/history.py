"""The policy in force on a day at a place. No input or output: the loader has read and validated the files."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import cast

from backend.core.errors import BadInput
from backend.policy.errors import AbsentLaw, WrongKind
from backend.policy.schema import (
    NATIONAL,
    SECONDS_OF_UNIT,
    DatedValue,
    DivisionRow,
    Parameter,
    ParameterKind,
    Reference,
)

CODE_DIGITS = 6
Cell = str | int | float | bool
Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Citation:
    """A value with its source, as recorded in the trace of a decision: enough to find it again in this version."""

    parameter: str
    value: object
    unit: str | None
    since: date
    place: str
    reference: Reference
    version: str


class Policy:
    """All loaded parameters. `at` is the only way to read a value, because a value is only valid on given days."""

    def __init__(self, parameters: tuple[Parameter, ...], divisions: tuple[DivisionRow, ...]) -> None:
        self.parameters = parameters
        self.divisions = divisions
        self._by_id: dict[str, dict[str, Parameter]] = {}
        for parameter in parameters:
            self._by_id.setdefault(parameter.id, {})[parameter.place] = parameter
        self._reports_to = {row.code: row.reports_to for row in divisions}

    @cached_property
    def policy_version(self) -> str:
        """SHA-256 of values, dates, places and citations. The descriptions (`zh`, `en`) do not change it."""
        descriptions = {"zh", "en"}
        content = {
            "divisions": sorted(
                (row.model_dump(mode="json", exclude=descriptions) for row in self.divisions),
                key=lambda row: row["code"],
            ),
            "parameters": sorted(
                (item.model_dump(mode="json", exclude=descriptions) for item in self.parameters),
                key=lambda item: (item["id"], item["place"]),
            ),
        }
        canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def at(self, day: date, place: str) -> "PolicyAt":
        """Return the policy in force on a legal day in a division (six digits)."""
        return PolicyAt(self, day, self.lineage(place))

    def lineage(self, place: str) -> tuple[str, ...]:
        """Return the place and the places above it, up to the nation.

        A listed division reports to `reports_to`, any other to the division that its digits name. A directly
        administered county is listed: it reports to the province, not to the city that its digits name.
        """
        if len(place) != CODE_DIGITS or not (place.isascii() and place.isdigit()):
            raise BadInput(
                field="place",
                reason_zh="行政区划代码应为六位数字",
                reason_en="a division code must have six digits",
            )
        chain = [place]
        while chain[-1] != NATIONAL:
            chain.append(self._reports_to.get(chain[-1]) or _superior_by_digits(chain[-1]))
        return tuple(chain)

    def definitions_of(self, parameter: str) -> Mapping[str, Parameter]:
        """Return the parameter at each place that defines it; empty if none does."""
        return MappingProxyType(self._by_id.get(parameter, {}))


def _superior_by_digits(code: str) -> str:
    if not code.endswith("00"):
        return code[:4] + "00"
    return NATIONAL if code.endswith("0000") else code[:2] + "0000"


@dataclass(frozen=True, slots=True)
class PolicyAt:
    """The policy on one day at one place. A getter returns the value in force or raises `AbsentLaw`; no defaults."""

    policy: Policy
    day: date
    lineage: tuple[str, ...]

    @property
    def place(self) -> str:
        return self.lineage[0]

    @property
    def version(self) -> str:
        return self.policy.policy_version

    def integer(self, parameter: str) -> int:
        """A count in the unit of the parameter (days, months, fen, bytes, times)."""
        return cast("int", self._value(parameter, ParameterKind.INTEGER))

    def number(self, parameter: str) -> float:
        """A measure in the unit of the parameter."""
        return float(cast("float", self._value(parameter, ParameterKind.NUMBER)))

    def ratio(self, parameter: str) -> float:
        """A ratio or a probability between 0 and 1."""
        return float(cast("float", self._value(parameter, ParameterKind.RATIO)))

    def duration(self, parameter: str) -> timedelta:
        """A length of time with a fixed number of seconds. Months and working days are integers."""
        definition, _ = self._in_force(parameter, ParameterKind.DURATION)
        seconds = SECONDS_OF_UNIT[cast("str", definition.unit)]
        return timedelta(seconds=seconds * cast("int", self._value(parameter, ParameterKind.DURATION)))

    def date_value(self, parameter: str) -> date:
        """A date named by the law."""
        return cast("date", self._value(parameter, ParameterKind.DATE))

    def flag(self, parameter: str) -> bool:
        return cast("bool", self._value(parameter, ParameterKind.FLAG))

    def text(self, parameter: str) -> str:
        """A code, such as `execute`."""
        return cast("str", self._value(parameter, ParameterKind.TEXT))

    def texts(self, parameter: str) -> tuple[str, ...]:
        """Codes in the order of the policy file."""
        return tuple(cast("list[str]", self._value(parameter, ParameterKind.TEXTS)))

    def integers(self, parameter: str) -> tuple[int, ...]:
        return tuple(cast("list[int]", self._value(parameter, ParameterKind.INTEGERS)))

    def table(self, parameter: str) -> tuple[Row, ...]:
        """Rows with the same columns."""
        return tuple(
            MappingProxyType(row)
            for row in cast("list[dict[str, Cell]]", self._value(parameter, ParameterKind.TABLE))
        )

    def reference(self, parameter: str) -> Citation:
        """The value in force with its source, for explanations and traces."""
        return self._cite(*self._in_force(parameter, None))

    def _cite(self, definition: Parameter, dated: DatedValue) -> Citation:
        return Citation(
            definition.id,
            copy.deepcopy(dated.value),
            definition.unit,
            dated.since,
            definition.place,
            dated.reference,
            self.policy.policy_version,
        )

    def references_of_all_places(self, parameter: str) -> tuple[Citation, ...]:
        """The values in force at the place and at every place above it, the nearest first.

        For rules that add up, such as cut-offs of which the earliest decides. Raises `AbsentLaw` if there is none.
        """
        by_place = self.policy.definitions_of(parameter)
        found = [
            self._cite(by_place[place], dated)
            for place in self.lineage
            if place in by_place and (dated := by_place[place].at(self.day))
        ]
        if not found:
            self._in_force(parameter, None)  # raises
        return tuple(found)

    def find_in_force(self, parameter: str) -> tuple[Parameter, DatedValue]:
        """The definition that applies here, and its value on the day."""
        return self._in_force(parameter, None)

    def _value(self, parameter: str, kind: ParameterKind) -> object:
        return self._in_force(parameter, kind)[1].value

    def _in_force(self, parameter: str, kind: ParameterKind | None) -> tuple[Parameter, DatedValue]:
        by_place = self.policy.definitions_of(parameter)
        for place in self.lineage:
            definition = by_place.get(place)
            dated = definition.at(self.day) if definition else None
            if definition is None or dated is None:
                continue
            if kind not in {None, definition.kind}:
                raise WrongKind(f"{parameter} is a {definition.kind}, requested as a {kind}")
            return definition, dated
        raise AbsentLaw(
            parameter=parameter, clause=_list_clauses(by_place), day=self.day.isoformat(), place=self.place
        )


def _list_clauses(by_place: Mapping[str, Parameter]) -> str:
    """The clauses cited by the parameter at other places or times; a dash for an unknown parameter."""
    references = [dated.reference for parameter in by_place.values() for dated in parameter.values]
    return ", ".join(sorted({item.clause or item.instrument for item in references})) or "-"
