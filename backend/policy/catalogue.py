"""The policy as a list to read: what is in force on a day at a place, its history, and what is missing. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from backend.core.errors import NotFound
from backend.policy.errors import AbsentLaw
from backend.policy.history import Policy, PolicyAt
from backend.policy.schema import DatedValue, Parameter


@dataclass(frozen=True, slots=True)
class PlacedValue:
    """A value over time, and the place whose law it is."""

    place: str
    dated: DatedValue


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A parameter with the value in force, and every value that its lineage of places ever had or will have."""

    parameter: Parameter
    in_force: DatedValue
    history: tuple[PlacedValue, ...]
    """The nearest place first, there the newest value first."""


@dataclass(frozen=True, slots=True)
class AbsentEntry:
    """A parameter that has no value in force: reading it raises `error`."""

    parameter: Parameter
    """As another place or time defines it."""
    error: AbsentLaw


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All parameters on one day at one place, ordered by id."""

    at: PolicyAt
    entries: tuple[PolicyEntry, ...]
    absent: tuple[AbsentEntry, ...]


def list_policies(policy: Policy, day: date, place: str) -> Catalogue:
    """Raises `BadInput` for a place that is no division code."""
    at = policy.at(day, place)
    entries: list[PolicyEntry] = []
    absent: list[AbsentEntry] = []
    for parameter in sorted({each.id for each in policy.parameters}):
        try:
            entries.append(_entry(at, parameter))
        except AbsentLaw as error:
            absent.append(AbsentEntry(next(iter(policy.definitions_of(parameter).values())), error))
    return Catalogue(at, tuple(entries), tuple(absent))


def find_policy(policy: Policy, parameter: str, day: date, place: str) -> PolicyEntry:
    """Raises `NotFound` for an unknown parameter, and `AbsentLaw` where it has no value in force."""
    if not policy.definitions_of(parameter):
        raise NotFound
    return _entry(policy.at(day, place), parameter)


def _entry(at: PolicyAt, parameter: str) -> PolicyEntry:
    definition, in_force = at.find_in_force(parameter)
    return PolicyEntry(definition, in_force, tuple(_history(at, parameter)))


def _history(at: PolicyAt, parameter: str) -> Iterable[PlacedValue]:
    by_place = at.policy.definitions_of(parameter)
    for place in at.lineage:
        if place in by_place:
            yield from (PlacedValue(place, dated) for dated in reversed(by_place[place].values))
