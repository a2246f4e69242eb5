"""What names a picture of a face in the evidence store: identifiers only, no bytes."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from biometrics.templates.sealing import PictureKey, derive_picture_name


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

    def evidence_key(self, key: PictureKey) -> str:
        """The key in the evidence store: opaque, and the same whenever the picture is stored."""
        name = derive_picture_name(self.context, key)
        return f"pictures/{name[:2]}/{name}"

    @property
    def context(self) -> tuple[str, ...]:
        """What the stored bytes are bound to, together with the student and the name."""
        return self.kind, str(self.source_id), str(self.position)
