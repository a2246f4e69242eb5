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
