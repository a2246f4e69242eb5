"""Tables of the non-face route: card codes, attestations, their reviews and escalations.

Rows are only inserted; retention empties positions.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base
from backend.roll_call.partitioning import PARTITION_BY_TERM, mapper_key, roll_call_foreign_key


class StudentCode(Base):
    """The code on a student's card for the non-face route, stored as a hash. Only the newest code is valid."""

    __tablename__ = "student_code"
    __tenancy__ = "school"
    __table_args__ = (Index("ix_student_code_student", "student_id", "issued_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    code_hash: Mapped[bytes]
    issued_by: Mapped[UUID]
    issued_at: Mapped[datetime]


class Attestation(Base):
    """A counselor saw the student on a filed site and entered the code of the student's card.

    `position` is where the counselor's browser was, with the decision about it; `session_id` is the counselor's sign-in.
    """

    __tablename__ = "attestation"
    __tenancy__ = "school"
    __mapper_args__ = mapper_key("roll_call_id", "student_id")
    __table_args__ = (
        roll_call_foreign_key(),
        CheckConstraint(
            "reason_code IN ('non_face_route', 'phone_broken', 'no_smartphone', 'camera_broken', 'new_phone',"
            " 'face_unsure', 'position_unsure', 'disability', 'other')",
            name="reason_code",
        ),
        Index("ix_attestation_sampled", "at", postgresql_where=text("sampled")),
        Index("ix_attestation_position_kept", "at", postgresql_where=text("position_deleted_at IS NULL")),
        PARTITION_BY_TERM,
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    class_id: Mapped[UUID]
    site_version_id: Mapped[UUID]
    reason_code: Mapped[str]
    reason: Mapped[str]
    attested_by: Mapped[UUID]
    session_id: Mapped[UUID]
    position: Mapped[dict[str, Any]]
    sampled: Mapped[bool]
    at: Mapped[datetime]
    position_deleted_at: Mapped[datetime | None]
    """When retention emptied the position."""


class AttestationReview(Base):
    """The review of an attestation by a person other than the attester."""

    __tablename__ = "attestation_review"
    __tenancy__ = "school"
    __mapper_args__ = mapper_key("roll_call_id", "student_id")
    __table_args__ = (
        CheckConstraint("reviewed_by <> attested_by", name="second_person"),
        PARTITION_BY_TERM,
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    attested_by: Mapped[UUID]
    reviewed_by: Mapped[UUID]
    upheld: Mapped[bool]
    note: Mapped[str]
    at: Mapped[datetime]


class WrongCardCode(Base):
    """An attester entered a code that is not the one of the student's card. Counted against attester and card."""

    __tablename__ = "wrong_card_code"
    __tenancy__ = "school"
    __table_args__ = (
        Index("ix_wrong_card_code_attester", "attested_by", "at"),
        Index("ix_wrong_card_code_student", "student_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"))
    attested_by: Mapped[UUID]
    session_id: Mapped[UUID]
    at: Mapped[datetime]


class AttestationEscalation(Base):
    """A sampled attestation that the reviewing unit left without a review until `due_at`; reported to its superior."""

    __tablename__ = "attestation_escalation"
    __tenancy__ = "school"
    __mapper_args__ = mapper_key("roll_call_id", "student_id")
    __table_args__ = (PARTITION_BY_TERM,)

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    reviewing_path: Mapped[str]
    reported_to: Mapped[UUID]
    due_at: Mapped[datetime]
    at: Mapped[datetime]
