"""Tables of faces: keys, enrolments, templates, records of accepted pictures, replacements, and the way without a face."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class SchoolTemplateKey(Base):
    """A school's key, wrapped under a version of the root key. It wraps the data keys of the school's students.

    Never deleted; updated only when the root key is rotated.
    """

    __tablename__ = "school_template_key"
    __tenancy__ = "shared_school"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    root_version: Mapped[str]
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    wrapped_at: Mapped[datetime]


class TemplateKey(Base):
    """A student's data key, wrapped under the school's key. Deleting the row shreds all face data of the student."""

    __tablename__ = "template_key"
    __tenancy__ = "student"

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("school_template_key.school_id"))
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]


class FaceEnrolment(Base):
    """One attempt to enrol a face: pending until a worker has judged the shots, then accepted or refused.

    One that replaces an earlier face is in `review` until two persons have approved it (`FaceReplacementAnswer`).
    """

    __tablename__ = "face_enrolment"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'review', 'accepted', 'refused')", name="status"),
        Index("ix_face_enrolment_student", "student_id", "submitted_at"),
        Index(
            "ix_face_enrolment_shots_kept", "decided_at", postgresql_where=text("shots_deleted_at IS NULL")
        ),
        Index(
            "uq_face_enrolment_open",
            "student_id",
            unique=True,
            postgresql_where=text("status IN ('pending', 'review')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    status: Mapped[str]
    shots: Mapped[int]
    engine: Mapped[str | None]
    reasons: Mapped[list[Any]]
    """Objects `{shot, code, zh, en}`; `shot` counts from 0 and is null for all shots together."""
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    shots_deleted_at: Mapped[datetime | None]
    """When retention deleted the pictures."""


class FaceTemplateRecord(Base):
    """An encrypted template. Never overwritten: an active one ends by shredding, by two-person replacement, or when another
    engine makes a template of the same shots.

    A `proposed` one waits for the two persons. `sealed` is empty once a template was replaced or refused.
    """

    __tablename__ = "face_template"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("status IN ('proposed', 'active', 'replaced', 'refused', 'shredded')", name="status"),
        Index(
            "uq_face_template_active", "student_id", unique=True, postgresql_where=text("status = 'active'")
        ),
        Index(
            "uq_face_template_enrolment",
            "enrolment_id",
            unique=True,
            postgresql_where=text("status IN ('proposed', 'active')"),
        ),
        Index(
            "ix_face_template_sample",
            "school_id",
            "engine_id",
            "engine_version",
            text("md5(CAST(student_id AS text))"),
            postgresql_where=text("status = 'active'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    enrolment_id: Mapped[UUID] = mapped_column(ForeignKey("face_enrolment.id"))
    engine_id: Mapped[str]
    engine_version: Mapped[str]
    purpose: Mapped[str]
    sealed: Mapped[bytes]
    status: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class SelfieRecord(Base):
    """The encrypted fingerprint of accepted pictures: of an enrolment, or of a check-in (`submission_id`).

    Later submissions are compared with it, to detect a picture that is used again. Only the newest few of each student
    are kept. All become unreadable when the student's data key is shredded.
    """

    __tablename__ = "selfie_record"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("(submission_id IS NULL) <> (enrolment_id IS NULL)", name="source"),
        Index("ix_selfie_record_student", "student_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    submission_id: Mapped[UUID | None] = mapped_column(unique=True)
    enrolment_id: Mapped[UUID | None] = mapped_column(ForeignKey("face_enrolment.id"), unique=True)
    engine_id: Mapped[str]
    engine_version: Mapped[str]
    sealed: Mapped[bytes]
    at: Mapped[datetime]


class FaceReplacementAnswer(Base):
    """The answer of one of the two persons who decide on the replacement of an enrolled face. Append-only."""

    __tablename__ = "face_replacement_answer"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("side IN ('school', 'superior')", name="side"),
        CheckConstraint("side <> 'school' OR NOT approved OR seen_in_person", name="seen_in_person"),
        UniqueConstraint("enrolment_id", "side"),
        UniqueConstraint("enrolment_id", "account_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    enrolment_id: Mapped[UUID] = mapped_column(ForeignKey("face_enrolment.id"))
    side: Mapped[str]
    account_id: Mapped[UUID]
    org_path: Mapped[str]
    approved: Mapped[bool]
    seen_in_person: Mapped[bool]
    """Whether this person compared the student in person with the shots; needed for the school's approval."""
    reasons: Mapped[str]
    at: Mapped[datetime]


class NonFaceRoute(Base):
    """A student's choice to be verified without a face, on equal terms, or to go back. The newest choice is valid."""

    __tablename__ = "non_face_route"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_non_face_route_student", "student_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    chosen: Mapped[bool]
    """False if the student went back to the face."""
    reason: Mapped[str]
    at: Mapped[datetime]


class FacePopulation(Base):
    """A version of the population mean of an engine: an average over many students, not personal data, immutable."""

    __tablename__ = "face_population"
    __tenancy__ = "open"
    __table_args__ = (CheckConstraint("version > 0", name="version"),)

    engine_id: Mapped[str] = mapped_column(primary_key=True)
    engine_version: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    centre: Mapped[bytes]
    """float32, little-endian, one value per dimension of the engine."""
    people: Mapped[int]
    """The number of active templates in the province when it was learned."""
    learned_at: Mapped[datetime]
