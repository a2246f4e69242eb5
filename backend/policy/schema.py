"""The shape of the policy files: strict, so that a slip of the pen is refused instead of read as law."""

import math
from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NATIONAL = "000000"
"""The place of law that holds in the whole country."""

DivisionCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
ParameterId = Annotated[str, Field(pattern=r"^[a-z0-9_-]+(\.[a-z0-9_-]+)+$")]
Sentence = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Kind(StrEnum):
    """What a parameter's value is, and so which getter of `PolicyAt` answers it."""

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
"""Units whose length never varies. Months and working days are counted by a calendar: use `integer`."""


class Reference(Strict):
    """Where a figure comes from. Sentences of an instrument are cited by article, never copied."""

    instrument: Sentence
    article: Sentence
    clause: str | None = None
    reading: str | None = None
    rationale: str | None = None


class DatedValue(Strict):
    """A value and the first (and perhaps last) legal day on which it is in force, both inclusive."""

    since: date = Field(alias="from")
    until: date | None = None
    value: object
    reference: Reference

    def in_force(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day <= self.until)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.until is not None and self.until < self.since:
            raise ValueError(f"until {self.until} lies before from {self.since}")
        return self


class Parameter(Strict):
    """One figure of the law at one place, through time."""

    id: ParameterId
    kind: Annotated[Kind, Field(strict=False)]
    unit: str | None = None
    place: DivisionCode
    zh: Sentence
    en: Sentence
    values: Annotated[tuple[DatedValue, ...], Field(strict=False, min_length=1)]

    def at(self, day: date) -> DatedValue | None:
        """The value in force on the day: the latest begun, unless it has ended."""
        begun = [value for value in self.values if value.since <= day]
        return begun[-1] if begun and begun[-1].in_force(day) else None

    @model_validator(mode="after")
    def _values_are_ordered_and_apart(self) -> Self:
        for earlier, later in pairwise(self.values):
            if later.since <= earlier.since:
                raise ValueError(f"{self.id}: values are not in the order of their dates at {later.since}")
            if earlier.until is not None and later.since <= earlier.until:
                raise ValueError(f"{self.id}: values overlap at {later.since}")
        return self

    @model_validator(mode="after")
    def _values_are_of_their_kind(self) -> Self:
        if self.kind is Kind.DURATION and self.unit not in SECONDS_OF_UNIT:
            raise ValueError(f"{self.id}: a duration has a unit among {', '.join(SECONDS_OF_UNIT)}")
        if self.kind in {Kind.INTEGER, Kind.INTEGERS, Kind.NUMBER} and not self.unit:
            raise ValueError(f"{self.id}: a figure without a unit says nothing")
        for dated in self.values:
            if not _FITS[self.kind](dated.value):
                raise ValueError(f"{self.id}: {dated.value!r} is no {self.kind}")
        return self


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _distinct(value: object, fits: Callable[[object], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(fits, value)) and len(set(value)) == len(value)


def _table(value: object) -> bool:
    """A non-empty list of rows with the same columns and scalar cells."""
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        return False
    columns = set(value[0])
    return all(
        set(row) == columns and all(isinstance(cell, str | int | float) for cell in row.values())
        for row in value
    )


_FITS: dict[Kind, Callable[[object], bool]] = {
    Kind.INTEGER: _whole,
    Kind.NUMBER: _number,
    Kind.RATIO: lambda value: isinstance(value, int | float) and _number(value) and 0 <= value <= 1,
    Kind.DURATION: lambda value: isinstance(value, int) and _whole(value) and value >= 0,
    Kind.DATE: lambda value: isinstance(value, date) and not isinstance(value, datetime),
    Kind.FLAG: lambda value: isinstance(value, bool),
    Kind.TEXT: lambda value: isinstance(value, str) and bool(value),
    Kind.TEXTS: lambda value: _distinct(value, lambda item: isinstance(item, str)),
    Kind.INTEGERS: lambda value: _distinct(value, _whole),
    Kind.TABLE: _table,
}


class ParameterFile(Strict):
    """A file of figures."""

    parameters: Annotated[tuple[Parameter, ...], Field(strict=False)]


class DivisionLevel(StrEnum):
    """The levels of the education authorities; a directly administered county stands beside the cities."""

    PROVINCE = "province"
    CITY = "city"
    DIRECT_COUNTY = "direct_county"


class DivisionRow(Strict):
    """A division of GB/T 2260 and the division its education bureau reports to."""

    code: DivisionCode
    zh: Sentence
    level: Annotated[DivisionLevel, Field(strict=False)]
    reports_to: DivisionCode


class DivisionFile(Strict):
    """A file of divisions."""

    divisions: Annotated[tuple[DivisionRow, ...], Field(strict=False)]
