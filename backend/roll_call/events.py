"""Events of roll calls."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCallEvent(Event):
    """An event about one roll call. `path` is the ltree path of the launching unit."""

    roll_call_id: UUID
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCallLaunched(RollCallEvent):
    """A roll call was launched; its notice may be due later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCallExtended(RollCallEvent):
    """The window was extended to `until`, to make up for an outage (reading 8)."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCallVoided(RollCallEvent):
    """A roll call was voided; its results have no consequences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCallSettled(RollCallEvent):
    """Every obligation of a closed roll call has its outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemindersSent(Event):
    """Staff reminded the students of one class who have not checked in."""

    roll_call_id: UUID
    school_id: UUID
    reminder_id: UUID
    class_id: UUID | None
    counselor_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeChanged(Event):
    """A later entry replaced the outcome of an obligation."""

    roll_call_id: UUID
    student_id: UUID
    school_id: UUID
    outcome: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksRequested(RollCallEvent):
    """The first looks of a side at students of a school were requested: of a class, or None for the launching side.

    `until` is when the earliest of them expires.
    """

    school_id: UUID
    class_id: UUID | None
    until: datetime
