"""Pure rules of learned thresholds: groups of students, and when a new version takes effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from backend.identity.rules import age_on
from biometrics.matching.decision import Method

Effect = Literal["at_once", "approval"]
Reason = Literal["first", "tightened", "unchanged", "loosened", "scoring_changed"]


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """An age group: everyone from `lowest` on who is not in a later group."""

    lowest: int
    name: str


def group_of(sex: str, birth_date: date, day: date, age_groups: Sequence[AgeGroup]) -> str:
    """The group within which a student is compared, on a legal day: sex and age group."""
    age = age_on(birth_date, day)
    reached = [each for each in sorted(age_groups, key=lambda each: each.lowest) if age >= each.lowest]
    return f"{sex} {reached[-1].name if reached else age_groups[0].name}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What decides whether a version is stricter than another; scores of other methods cannot be compared."""

    method: Method
    population_version: int
    accept_from: float


def find_effect(in_force: Limits | None, learned: Limits) -> tuple[Effect, Reason]:
    """Whether a new version takes effect at once, and why.

    A stricter version does. The first one does not: before it, no face was accepted by its score. Nor does one whose
    scores mean something else.
    """
    if in_force is None:
        return "approval", "first"
    if (in_force.method, in_force.population_version) != (learned.method, learned.population_version):
        return "approval", "scoring_changed"
    if learned.accept_from < in_force.accept_from:
        return "approval", "loosened"
    return "at_once", "unchanged" if learned.accept_from == in_force.accept_from else "tightened"


def relearn_from(people: int, growth: float) -> float:
    """The number of people at which thresholds learned from `people` are learned again."""
    return people * (1 + growth)
