"""Tables of ID portraits, and of pictures that were sent for two students."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class Portrait(Base):
    """An ID portrait (学籍证件照): checked for quality and, where a template exists, compared with it.

    An accepted portrait replaces earlier ones that were accepted or in review.
    """

    __tablename__ = "portrait"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'accepted', 'review', 'refused', 'replaced')", name="status"),
        Index("ix_portrait_student", "student_id", "submitted_at"),
        Index("uq_portrait_pending", "student_id", unique=True, postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    evidence_key: Mapped[str] = mapped_column(unique=True)
    """The name of the sealed file."""
    sha256: Mapped[bytes]
    status: Mapped[str]
    score: Mapped[float | None]
    reasons: Mapped[list[Any]]
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    picture_deleted_at: Mapped[datetime | None]
    """When retention deleted the picture."""


class PictureFingerprint(Base):
    """Hashes of one enrolled picture, to find the same picture under another student. No face can be derived from them.

    `file_index` and `pixel_index` are keyed (blind indexes of SHA-256). Deleted with the face data of the student, or
    with the portrait.
    """

    __tablename__ = "picture_fingerprint"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("source IN ('face_enrolment', 'portrait')", name="source"),
        UniqueConstraint("source_id", "position"),
        Index("ix_picture_fingerprint_file", "file_index"),
        Index("ix_picture_fingerprint_pixel", "pixel_index"),
        Index("ix_picture_fingerprint_school", "school_id"),
        Index("ix_picture_fingerprint_student", "student_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    source: Mapped[str]
    source_id: Mapped[UUID]
    position: Mapped[int]
    file_index: Mapped[bytes]
    pixel_index: Mapped[bytes]
    phash: Mapped[int] = mapped_column(BigInteger)
    """`Fingerprint.phash` as a signed number."""
    at: Mapped[datetime]


class SharedPicture(Base):
    """A finding that one picture was sent for two students; one row in the school of each. Append-only."""

    __tablename__ = "shared_picture"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("source IN ('face_enrolment', 'portrait')", name="source"),
        CheckConstraint("kind IN ('same', 'near_duplicate', 'same_person')", name="kind"),
        CheckConstraint("student_id <> other_student_id", name="students"),
        Index(
            "uq_shared_picture_source",
            "school_id",
            "source_id",
            "student_id",
            "other_student_id",
            unique=True,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    other_school_id: Mapped[UUID]
    other_student_id: Mapped[UUID]
    source: Mapped[str]
    source_id: Mapped[UUID]
    """The enrolment or portrait that was refused or sent to review."""
    kind: Mapped[str]
    sent_by_other: Mapped[bool]
    """Whether the other student sent the picture later, so that this student's picture stays as it is."""
    at: Mapped[datetime]
