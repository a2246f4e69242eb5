"""References to submitted pictures: identifiers only, so that a job can carry them, and the pictures they imply."""

from dataclasses import dataclass
from uuid import UUID

from backend.core.tenancy import Scope
from backend.identity.pictures.refs import PictureKind, PictureRef
from backend.identity.tables import Portrait


@dataclass(frozen=True, slots=True)
class EnrolmentRef:
    """One face enrolment of one student."""

    enrolment_id: UUID
    school_id: UUID
    student_id: UUID

    def shot(self, position: int) -> PictureRef:
        """One of the shots."""
        kind = PictureKind.ENROLMENT_SHOT
        return PictureRef(kind, self.school_id, self.student_id, self.enrolment_id, position)

    def pictures(self, count: int) -> list[PictureRef]:
        """The first `count` shots."""
        return [self.shot(number) for number in range(count)]

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

    @classmethod
    def of(cls, portrait: Portrait) -> "PortraitRef":
        """The reference of a stored portrait."""
        return cls(portrait.id, portrait.school_id, portrait.student_id)

    @property
    def picture(self) -> PictureRef:
        """The picture."""
        return PictureRef(PictureKind.PORTRAIT, self.school_id, self.student_id, self.portrait_id)

    @property
    def scope(self) -> Scope:
        """The student's own scope."""
        return Scope.student(self.school_id, self.student_id)
