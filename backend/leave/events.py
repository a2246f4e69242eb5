"""Events of leave."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import StudentEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveEvent(StudentEvent):
    """An event about one request for leave."""

    leave_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRequested(LeaveEvent):
    """A student requested leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveDecided(LeaveEvent):
    """Leave was approved or declined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveCancelled(LeaveEvent):
    """Leave was cancelled; `by` is the role of the actor."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveReturned(LeaveEvent):
    """Leave ended by a return; `by` is the role of the actor."""

    by: str
