"""The values that a search passes on: students with a template, and pairs of them."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A student with a template of a school."""

    student_id: UUID
    school_id: UUID
    enrolment_id: UUID


@dataclass(frozen=True, slots=True)
class Found:
    """A rarely similar pair, the searched student first. Strangers reach `shown_from` rarely in `compared` pairs."""

    one: Enrolled
    other: Enrolled
    score: float
    shown_from: float
    compared: int
