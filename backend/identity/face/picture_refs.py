"""References to submitted pictures: identifiers only, so that a job can carry them, and the evidence keys they imply."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.tenancy import Scope


@dataclass(frozen=True, slots=True)
class EnrolmentRef:
    """One face enrolment of one student."""

    enrolment_id: UUID
    school_id: UUID
    student_id: UUID

    def shot_keys(self, count: int) -> list[str]:
        """The evidence keys of the shots."""
        return [f"enrolment/{self.student_id}/{self.enrolment_id}/{number}" for number in range(count)]

    @property
    def scope(self) -> Scope:
        """The student's own scope."""
        return Scope.student(self.school_id, self.student_id)

    @property
    def event_payload(self) -> dict[str, str]:
        """The identifiers as events and jobs carry them."""
        return {
            "enrolment_id": str(self.enrolment_id),
            "school_id": str(self.school_id),
            "student_id": str(self.student_id),
        }


@dataclass(frozen=True, slots=True)
class PortraitRef:
    """One ID portrait of one student."""

    portrait_id: UUID
    school_id: UUID
    student_id: UUID

    @property
    def evidence_key(self) -> str:
        """The evidence key of the picture."""
        return f"portrait/{self.student_id}/{self.portrait_id}"

    @property
    def scope(self) -> Scope:
        """The student's own scope."""
        return Scope.student(self.school_id, self.student_id)
