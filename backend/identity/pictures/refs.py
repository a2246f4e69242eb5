"""What names a picture of a face in the evidence store: identifiers only, no bytes."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class PictureKind(StrEnum):
    """The kinds of pictures of a face. A kind is the purpose for which the picture was taken."""

    FRAME = "frame"
    """A frame of a check-in; the source is the submission."""
    ENROLMENT_SHOT = "enrolment_shot"
    """A shot of an enrolment; the source is the `FaceEnrolment`."""
    REBINDING_SHOT = "rebinding_shot"
    """A picture that proves a change of phone; the source is the `Registration`."""
    PORTRAIT = "portrait"
    """The ID portrait (学籍证件照); the source is the `Portrait`, the position 0."""


@dataclass(frozen=True, slots=True)
class PictureRef:
    """One picture of one student."""

    kind: PictureKind
    school_id: UUID
    student_id: UUID
    source_id: UUID
    position: int = 0

    @property
    def evidence_key(self) -> str:
        """The key in the evidence store."""
        return f"{self.kind}/{self.source_id}/{self.position}"
