"""Events of phone changes. They contain no numbers."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneChangesProposed(Event):
    """A school proposed numbers for students who have bound a phone. `path` is the school's."""

    school_id: UUID
    path: str
    batch_id: UUID
    students: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneChangeDecided(Event):
    """A proposed number was confirmed, approved, refused, withdrawn or replaced."""

    school_id: UUID
    path: str
    student_id: UUID
    change_id: UUID
    state: str
