"""Tables of pictures of faces: their keys, and the record of who looked at them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class PictureKeyRecord(Base):
    """The key of a student's pictures, wrapped under the school's key. Deleting the row shreds all of them.

    It is separate from `TemplateKey`: a revoked consent shreds the template at once, while the portrait and the frames
    of a missed check-in stay readable for the student's own appeal.
    """

    __tablename__ = "picture_key"
    __tenancy__ = "student"

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("school_template_key.school_id"))
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]


class PictureView(Base):
    """One look of one person of the staff at one picture of a student's face, or at the positions of a roll call.

    Append-only until its period is over.
    """

    __tablename__ = "picture_view"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("role IN ('province', 'bureau', 'registrar', 'counselor')", name="role"),
        CheckConstraint(
            "kind IN ('frame', 'enrolment_shot', 'rebinding_shot', 'portrait', 'positions')", name="kind"
        ),
        Index("ix_picture_view_student", "student_id", "id"),
        Index("ix_picture_view_at", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    account_id: Mapped[UUID]
    role: Mapped[str]
    """The role of the account when it looked."""
    org_path: Mapped[str]
    """The unit of the account when it looked."""
    kind: Mapped[str]
    source_id: Mapped[UUID]
    """The submission, enrolment, registration, portrait or roll call."""
    position: Mapped[int]
    purpose: Mapped[str]
    """A `PicturePurpose`."""
    at: Mapped[datetime]
