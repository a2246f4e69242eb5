"""Events of students and their counselors."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesAssigned(Event):
    """Classes were assigned to a counselor."""

    school_id: UUID
    counselor_id: UUID
    class_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentsQuarantined(Event):
    """Rows of a roster were quarantined, because their ID numbers are on the roll of another school, the holder."""

    school_id: UUID
    path: str
    holder_school_id: UUID
    holder_path: str
    first_id: UUID
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineDecided(Event):
    """A person decided on a quarantined row."""

    school_id: UUID
    path: str
    holder_school_id: UUID
    holder_path: str
    quarantine_id: UUID
    state: str
