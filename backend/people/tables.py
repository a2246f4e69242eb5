"""Tables of people: students, classes, counselors, guardians, consents, record checks and attachments."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base
from backend.core.match_keys import match_key, name_key
from backend.people.categories import ENDED_STANDINGS


def _class_name_key(context: DefaultExecutionContext) -> str:
    name: str = context.get_current_parameters()["name"]  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    return match_key(name)


def _student_name_key(context: DefaultExecutionContext) -> str:
    name: str = context.get_current_parameters()["name"]  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    return name_key(name)


ENROLLED_CONDITION = "standing NOT IN ({})".format(", ".join(f"'{code}'" for code in ENDED_STANDINGS))
"""SQL condition of a student who is on the roll."""


class SchoolClass(Base):
    """A class (班级) of a school. `name` is as the first roster gave it; `name_key` tells classes apart."""

    __tablename__ = "school_class"
    __tenancy__ = "school"
    __table_args__ = (UniqueConstraint("school_id", "name_key"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(default=_class_name_key)
    grade: Mapped[int | None]
    major: Mapped[str | None]
    created_at: Mapped[datetime]


class Student(Base):
    """A student on a school's roll.

    ID number and student number (which can contain the ID number) are encrypted and searched by a blind index.
    `name` is as the roster gave it; `name_key` is compared with typed names.
    `study_form` and `standing` are legal states, written on entry and by decided changes, never by a repeated import.
    """

    __tablename__ = "student"
    __tenancy__ = "student"
    __tenancy_column__ = "id"
    __table_args__ = (
        UniqueConstraint("school_id", "id_number_index"),
        Index(
            "uq_student_number",
            "school_id",
            "student_number_index",
            unique=True,
            postgresql_where=text("student_number_index IS NOT NULL"),
        ),
        Index("ix_student_id_number_index", "id_number_index"),
        Index(
            "uq_student_enrolled", "id_number_index", unique=True, postgresql_where=text(ENROLLED_CONDITION)
        ),
        Index("ix_student_class", "class_id"),
        Index("ix_student_enrolled_school", "school_id", "id", postgresql_where=text(ENROLLED_CONDITION)),
        Index("ix_student_name_characters", text("string_to_array(name_key, NULL)"), postgresql_using="gin"),
        Index("ix_student_name", "name", "id"),  # in the collation of `by_name`, see the migration
        CheckConstraint("study_form IN ('full_time', 'part_time')", name="study_form"),
        CheckConstraint(
            "(student_number_sealed IS NULL) = (student_number_index IS NULL)", name="student_number"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    class_id: Mapped[UUID] = mapped_column(ForeignKey("school_class.id"))
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(default=_student_name_key)
    sex: Mapped[str]
    birth_date: Mapped[date]
    document_kind: Mapped[str]
    id_number_sealed: Mapped[bytes]
    id_number_index: Mapped[bytes]
    student_number_sealed: Mapped[bytes | None]
    student_number_index: Mapped[bytes | None]
    programme: Mapped[str]
    study_form: Mapped[str]
    standing: Mapped[str]
    entry_month: Mapped[str | None]
    major: Mapped[str | None]
    phone: Mapped[str | None]
    record: Mapped[dict[str, Any]]
    row_digest: Mapped[bytes]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class QuarantinedEnrolment(Base):
    """A row of a roster whose ID number is on another school's roll, until a person has decided (MOE19-2.4, reading 23).

    It is not a student: no account, phone, face or total refers to it. `school_id` imported the row; `holder_school_id`
    has the student. Both schools and their superiors see it. `id` becomes the student's id if the row is enrolled; the
    encrypted numbers are bound to it. `row_data` has the other columns, and is emptied when the row is not enrolled.
    """

    __tablename__ = "quarantined_enrolment"
    __tenancy__ = "two_schools"
    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'transferred', 'different_person', 'error', 'withdrawn', 'released')",
            name="state",
        ),
        CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("school_id <> holder_school_id", name="two_schools"),
        Index(
            "uq_quarantined_enrolment_open",
            "school_id",
            "id_number_index",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_quarantined_enrolment_school", "school_id", "id_number_index"),
        Index("ix_quarantined_enrolment_holder", "holder_school_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    holder_school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    holder_student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    id_number_index: Mapped[bytes]
    masked_number: Mapped[str]
    id_number_sealed: Mapped[bytes | None]
    student_number_sealed: Mapped[bytes | None]
    student_number_index: Mapped[bytes | None]
    row_data: Mapped[dict[str, Any]]
    digest: Mapped[bytes]
    file_sha256: Mapped[str]
    imported_by: Mapped[UUID | None]
    imported_at: Mapped[datetime]
    state: Mapped[str]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    reasons: Mapped[str | None]


class StudentTransfer(Base):
    """A student's record that was opened after a transfer (转入, 22), and the one that was closed for it (转出, 21).

    `school_id` and `student_id` are the new ones; `holder_school_id` and `holder_student_id` the earlier ones.
    `closed_by` and `opened_by` are the edits of both records.
    """

    __tablename__ = "student_transfer"
    __tenancy__ = "two_schools"
    __table_args__ = (CheckConstraint("school_id <> holder_school_id", name="two_schools"),)

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    holder_student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), unique=True)
    holder_school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    closed_by: Mapped[UUID]
    opened_by: Mapped[UUID]
    at: Mapped[datetime]


class Guardian(Base):
    """A guardian or family member on file."""

    __tablename__ = "guardian"
    __tenancy__ = "student"
    __table_args__ = (UniqueConstraint("student_id", "position"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    position: Mapped[int]
    name: Mapped[str]
    relation: Mapped[str | None]
    is_guardian: Mapped[bool]
    phone: Mapped[str | None]


class GuardianLink(Base):
    """A link that lets one guardian read about one student until it expires. The token itself is stored nowhere.

    `guardian_id` is the row of the roster; another name, relation or number there is another row, and the link stops
    working. Name and relation stay here, because legal records that the guardian files name the link.
    `window_requests` counts the requests of the minute that began at `window_at`.
    """

    __tablename__ = "guardian_link"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("cause IN ('miss', 'warning', 'prompt')", name="cause"),
        CheckConstraint("revoked_because IN ('consent_withdrawn', 'left_roster')", name="revoked_because"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_because IS NULL)", name="revoked"),
        CheckConstraint("expires_at > issued_at", name="expires_at"),
        UniqueConstraint("token_hash"),
        UniqueConstraint("guardian_id", "cause", "issued_on", "number"),
        Index("ix_guardian_link_student", "student_id"),
        Index("ix_guardian_link_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    guardian_id: Mapped[UUID]
    guardian_name: Mapped[str]
    relation: Mapped[str | None]
    token_hash: Mapped[bytes]
    cause: Mapped[str]
    issued_on: Mapped[date]
    """The legal day; with `number` it limits the SMS of a day."""
    number: Mapped[int] = mapped_column(SmallInteger)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None]
    window_at: Mapped[datetime | None]
    window_requests: Mapped[int] = mapped_column(default=0)


class Counselor(Base):
    """A counselor (辅导员, 班主任) whom the registrar created (HN334-3.2)."""

    __tablename__ = "counselor"
    __tenancy__ = "school"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    name: Mapped[str]
    phone: Mapped[str | None]
    profile: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ClassCounselor(Base):
    """The assignment of a class to a counselor: one current per class, earlier ones are kept."""

    __tablename__ = "class_counselor"
    __tenancy__ = "school"
    __table_args__ = (
        Index("uq_class_counselor_current", "class_id", unique=True, postgresql_where=text("until IS NULL")),
        Index("ix_class_counselor_counselor", "counselor_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    class_id: Mapped[UUID] = mapped_column(ForeignKey("school_class.id"))
    counselor_id: Mapped[UUID] = mapped_column(ForeignKey("counselor.id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]


class Consent(Base):
    """An answer to a consent question; the newest of each kind is valid (PIPL: separate, revocable)."""

    __tablename__ = "consent"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_consent_student", "student_id", "kind", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    kind: Mapped[str]
    text_version: Mapped[str]
    granted: Mapped[bool]
    guardian_name: Mapped[str | None]
    at: Mapped[datetime]


class RecordCheck(Base):
    """A student's check of their own record: confirmed, or a requested correction (HN334-3.1).

    The requested content of the field is encrypted, because it can be an ID number.
    """

    __tablename__ = "record_check"
    __tenancy__ = "student"
    __table_args__ = (
        Index("ix_record_check_student", "student_id", "at"),
        CheckConstraint("status IN ('confirmed', 'open', 'accepted', 'declined')", name="status"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    status: Mapped[str]
    field: Mapped[str | None]
    claimed_sealed: Mapped[bytes | None]
    note: Mapped[str | None]
    decided_by: Mapped[UUID | None]
    decided_note: Mapped[str | None]
    at: Mapped[datetime]
    decided_at: Mapped[datetime | None]


class StudentLock(Base):
    """The time of the last fact recorded about a student. Locking this row locks the student, see `student_lock`."""

    __tablename__ = "student_lock"
    __tenancy__ = "student"

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID]
    as_of: Mapped[datetime]


class Attachment(Base):
    """A file about a student: row created, content stored, and deleted again if it is not attached to a fact."""

    __tablename__ = "attachment"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("media_type IN ('image/jpeg', 'application/pdf')", name="media_type"),
        CheckConstraint("size_bytes > 0", name="size_bytes"),
        UniqueConstraint("id", "school_id", "student_id"),
        Index("ix_attachment_student", "student_id", "uploaded_by", "uploaded_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    media_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[bytes]
    """Digest of the stored content before encryption."""
    uploaded_by: Mapped[UUID]
    uploaded_from: Mapped[str]
    """The path of the uploader's unit."""
    by_student: Mapped[bool]
    uploaded_at: Mapped[datetime]
    stored_at: Mapped[datetime | None]
    discarded_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]


class AttachmentLink(Base):
    """The fact that a file is attached to."""

    __tablename__ = "attachment_link"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(
            ["attachment_id", "school_id", "student_id"],
            ["attachment.id", "attachment.school_id", "attachment.student_id"],
            name="fk_attachment_link_attachment",
        ),
        UniqueConstraint("subject_type", "subject_id", "position"),
    )

    attachment_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    position: Mapped[int]
    linked_by: Mapped[UUID]
    linked_at: Mapped[datetime]
