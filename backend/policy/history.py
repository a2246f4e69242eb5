"""The law in force on a day at a place. Pure: everything was read and checked before."""

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
    Kind,
    Parameter,
    Reference,
)

CODE_DIGITS = 6
Cell = str | int | float | bool
Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Citation:
    """What a decision's trace keeps of a figure: enough to find it again, under the same version."""

    parameter: str
    value: object
    unit: str | None
    since: date
    place: str
    reference: Reference
    version: str


class Policy:
    """All the law that was loaded. `at` is the only way to a figure, because no figure holds without a day."""

    def __init__(self, parameters: tuple[Parameter, ...], divisions: tuple[DivisionRow, ...]) -> None:
        self.parameters = parameters
        self.divisions = divisions
        self._by_id: dict[str, dict[str, Parameter]] = {}
        for parameter in parameters:
            self._by_id.setdefault(parameter.id, {})[parameter.place] = parameter
        self._reports_to = {row.code: row.reports_to for row in divisions}

    @cached_property
    def policy_version(self) -> str:
        """SHA-256 of what the law says: figures, dates, places, citations. Mere descriptions do not change it."""
        wording = {"zh", "en"}
        content = {
            "divisions": sorted(
                (row.model_dump(mode="json", exclude=wording) for row in self.divisions),
                key=lambda row: row["code"],
            ),
            "parameters": sorted(
                (item.model_dump(mode="json", exclude=wording) for item in self.parameters),
                key=lambda item: (item["id"], item["place"]),
            ),
        }
        canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def at(self, day: date, place: str) -> "PolicyAt":
        """The law in force on a legal day at a division (six digits), the nearest place first."""
        return PolicyAt(self, day, self.lineage(place))

    def lineage(self, place: str) -> tuple[str, ...]:
        """The place and those above it: where it reports to if filed, else by its digits, up to the nation.

        A directly administered county reports to the province, so its city by digits says nothing to it.
        """
        if len(place) != CODE_DIGITS or not (place.isascii() and place.isdigit()):
            raise BadInput(
                field="place",
                reason_zh="行政区划代码应为六位数字",
                reason_en="a division code has six digits",
            )
        chain = [place]
        while chain[-1] != NATIONAL:
            chain.append(self._reports_to.get(chain[-1]) or _above_by_digits(chain[-1]))
        return tuple(chain)

    def known_at(self, parameter: str) -> Mapping[str, Parameter]:
        """The places that legislate on the parameter; empty if none does."""
        return MappingProxyType(self._by_id.get(parameter, {}))


def _above_by_digits(code: str) -> str:
    if not code.endswith("00"):
        return code[:4] + "00"
    return NATIONAL if code.endswith("0000") else code[:2] + "0000"


@dataclass(frozen=True, slots=True)
class PolicyAt:
    """The law on one day at one place. A getter answers the figure in force or raises `AbsentLaw`: no defaults."""

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
        """A count in the parameter's own unit (days, months, fen, bytes, times)."""
        return cast("int", self._value(parameter, Kind.INTEGER))

    def number(self, parameter: str) -> float:
        """A measure in the parameter's own unit."""
        return float(cast("float", self._value(parameter, Kind.NUMBER)))

    def ratio(self, parameter: str) -> float:
        """A share or a probability between 0 and 1."""
        return float(cast("float", self._value(parameter, Kind.RATIO)))

    def duration(self, parameter: str) -> timedelta:
        """A length of time that is the same everywhere; months and working days are integers."""
        found, _ = self._in_force(parameter, Kind.DURATION)
        seconds = SECONDS_OF_UNIT[cast("str", found.unit)]
        return timedelta(seconds=seconds * cast("int", self._value(parameter, Kind.DURATION)))

    def day_of(self, parameter: str) -> date:
        """A day named by the law itself."""
        return cast("date", self._value(parameter, Kind.DATE))

    def flag(self, parameter: str) -> bool:
        return cast("bool", self._value(parameter, Kind.FLAG))

    def text(self, parameter: str) -> str:
        """A stable code, such as `execute`."""
        return cast("str", self._value(parameter, Kind.TEXT))

    def texts(self, parameter: str) -> tuple[str, ...]:
        """Stable codes in the order of the law."""
        return tuple(cast("list[str]", self._value(parameter, Kind.TEXTS)))

    def integers(self, parameter: str) -> tuple[int, ...]:
        return tuple(cast("list[int]", self._value(parameter, Kind.INTEGERS)))

    def table(self, parameter: str) -> tuple[Row, ...]:
        """Rows that all have the same columns."""
        return tuple(
            MappingProxyType(row) for row in cast("list[dict[str, Cell]]", self._value(parameter, Kind.TABLE))
        )

    def reference(self, parameter: str) -> Citation:
        """The figure in force and where it is written, for explanations and traces."""
        found, dated = self._in_force(parameter, None)
        return Citation(
            parameter,
            copy.deepcopy(dated.value),
            found.unit,
            dated.since,
            found.place,
            dated.reference,
            self.policy.policy_version,
        )

    def _value(self, parameter: str, kind: Kind) -> object:
        return self._in_force(parameter, kind)[1].value

    def _in_force(self, parameter: str, kind: Kind | None) -> tuple[Parameter, DatedValue]:
        known = self.policy.known_at(parameter)
        for place in self.lineage:
            found = known.get(place)
            dated = found.at(self.day) if found else None
            if found is None or dated is None:
                continue
            if kind not in {None, found.kind}:
                raise WrongKind(f"{parameter} is a {found.kind}, asked for as a {kind}")
            return found, dated
        raise AbsentLaw(
            parameter=parameter, clause=_clauses(known), day=self.day.isoformat(), place=self.place
        )


def _clauses(known: Mapping[str, Parameter]) -> str:
    """The clauses behind a parameter that is known elsewhere or at another time; a dash for an unknown one."""
    references = [dated.reference for parameter in known.values() for dated in parameter.values]
    return ", ".join(sorted({item.clause or item.instrument for item in references})) or "-"
