"""The schema of the policy files. It is strict, so that a typing mistake is rejected instead of applied as law."""

import math
from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NATIONAL = "000000"
"""The place of parameters that apply to the whole country."""

DivisionCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
ParameterId = Annotated[str, Field(pattern=r"^[a-z0-9_-]+(\.[a-z0-9_-]+)+$")]
NonEmptyText = Annotated[str, Field(min_length=1)]


class StrictModel(BaseModel):
    """A model that forbids unknown keys, conversions of types, and changes after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ParameterKind(StrEnum):
    """The type of a parameter's value. Each kind has a getter in `PolicyAt`."""

    INTEGER = "integer"
    NUMBER = "number"
    RATIO = "ratio"
    DURATION = "duration"
    DATE = "date"
    FLAG = "flag"
    TEXT = "text"
    TEXTS = "texts"
    INTEGERS = "integers"
    TABLE = "table"


SECONDS_OF_UNIT = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
"""Units with a fixed length. Months and working days depend on a calendar: use the kind `integer`."""


class Reference(StrictModel):
    """The source of a value. An instrument is cited by article; its text is not copied."""

    instrument: NonEmptyText
    article: NonEmptyText
    clause: str | None = None
    reading: str | None = None
    rationale: str | None = None


class DatedValue(StrictModel):
    """A value with the first and, optionally, the last legal day on which it is in force, both inclusive."""

    since: date = Field(alias="from")
    until: date | None = None
    value: object
    reference: Reference

    def in_force(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day <= self.until)

    @model_validator(mode="after")
    def _check_days(self) -> Self:
        if self.until is not None and self.until < self.since:
            raise ValueError(f"until {self.until} is before from {self.since}")
        return self


class Parameter(StrictModel):
    """One parameter at one place, with its values over time."""

    id: ParameterId
    kind: Annotated[ParameterKind, Field(strict=False)]
    unit: str | None = None
    place: DivisionCode
    zh: NonEmptyText
    en: NonEmptyText
    values: Annotated[tuple[DatedValue, ...], Field(strict=False, min_length=1)]

    def at(self, day: date) -> DatedValue | None:
        """Return the value in force on the day: the last one that has started, unless it has ended."""
        started = [value for value in self.values if value.since <= day]
        return started[-1] if started and started[-1].in_force(day) else None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for earlier, later in pairwise(self.values):
            if later.since <= earlier.since:
                raise ValueError(f"{self.id}: values are not in the order of their dates at {later.since}")
            if earlier.until is not None and later.since <= earlier.until:
                raise ValueError(f"{self.id}: values overlap at {later.since}")
        return self

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.kind is ParameterKind.DURATION and self.unit not in SECONDS_OF_UNIT:
            raise ValueError(f"{self.id}: a duration must have a unit of {', '.join(SECONDS_OF_UNIT)}")
        if (
            self.kind in {ParameterKind.INTEGER, ParameterKind.INTEGERS, ParameterKind.NUMBER}
            and not self.unit
        ):
            raise ValueError(f"{self.id}: a number must have a unit")
        for dated in self.values:
            if not _IS_VALID[self.kind](dated.value):
                raise ValueError(f"{self.id}: {dated.value!r} is not a valid {self.kind}")
        return self


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _is_distinct_list(value: object, is_valid: Callable[[object], bool]) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(map(is_valid, value))
        and len(set(value)) == len(value)
    )


def _is_table(value: object) -> bool:
    """Tell whether it is a non-empty list of rows with the same columns and scalar cells."""
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        return False
    columns = set(value[0])
    return all(
        set(row) == columns and all(isinstance(cell, str | int | float) for cell in row.values())
        for row in value
    )


_IS_VALID: dict[ParameterKind, Callable[[object], bool]] = {
    ParameterKind.INTEGER: _is_integer,
    ParameterKind.NUMBER: _is_number,
    ParameterKind.RATIO: lambda value: (
        isinstance(value, int | float) and _is_number(value) and 0 <= value <= 1
    ),
    ParameterKind.DURATION: lambda value: isinstance(value, int) and _is_integer(value) and value >= 0,
    ParameterKind.DATE: lambda value: isinstance(value, date) and not isinstance(value, datetime),
    ParameterKind.FLAG: lambda value: isinstance(value, bool),
    ParameterKind.TEXT: lambda value: isinstance(value, str) and bool(value),
    ParameterKind.TEXTS: lambda value: _is_distinct_list(value, lambda item: isinstance(item, str)),
    ParameterKind.INTEGERS: lambda value: _is_distinct_list(value, _is_integer),
    ParameterKind.TABLE: _is_table,
}


class ParameterFile(StrictModel):
    """A file of parameters."""

    parameters: Annotated[tuple[Parameter, ...], Field(strict=False)]


class DivisionLevel(StrEnum):
    """The levels of the education authorities. A directly administered county has the rank of a city."""

    PROVINCE = "province"
    CITY = "city"
    DIRECT_COUNTY = "direct_county"


class DivisionRow(StrictModel):
    """A division (GB/T 2260) and the division that its education bureau reports to."""

    code: DivisionCode
    zh: NonEmptyText
    level: Annotated[DivisionLevel, Field(strict=False)]
    reports_to: DivisionCode


class DivisionFile(StrictModel):
    """A file of divisions."""

    divisions: Annotated[tuple[DivisionRow, ...], Field(strict=False)]
