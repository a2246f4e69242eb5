"""Events of registration."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolMeasureTaken(Event):
    """An authority took a measure against a school, or lifted it."""

    school_id: UUID
    path: str
    measure_id: UUID
    kind: str
