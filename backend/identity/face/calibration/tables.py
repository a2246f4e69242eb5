"""Tables of learned thresholds: probes of rehearsals, their confirmation, versions of thresholds, and approvals."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class RehearsalConfirmation(Base):
    """A counselor's statement that students of a class were present at a rehearsal. It labels their probes."""

    __tablename__ = "face_rehearsal_confirmation"
    __tenancy__ = "school"
    __table_args__ = (UniqueConstraint("roll_call_id", "class_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    roll_call_id: Mapped[UUID]
    class_id: Mapped[UUID] = mapped_column(ForeignKey("school_class.id"))
    account_id: Mapped[UUID]
    confirmed: Mapped[int]
    excluded: Mapped[int]
    at: Mapped[datetime]


class FaceCalibrationProbe(Base):
    """The encrypted mean descriptor of a check-in in a rehearsal. It counts only once it is confirmed.

    It becomes unreadable when the student's data key is shredded, and is deleted with it.
    """

    __tablename__ = "face_calibration_probe"
    __tenancy__ = "student"
    __table_args__ = (
        Index("ix_face_calibration_probe_student", "student_id", "at"),
        Index("ix_face_calibration_probe_roll_call", "roll_call_id", "class_id"),
        Index(
            "ix_face_calibration_probe_unconfirmed", "at", postgresql_where=text("confirmation_id IS NULL")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    class_id: Mapped[UUID]
    roll_call_id: Mapped[UUID]
    submission_id: Mapped[UUID] = mapped_column(unique=True)
    confirmation_id: Mapped[UUID | None] = mapped_column(ForeignKey("face_rehearsal_confirmation.id"))
    engine_id: Mapped[str]
    engine_version: Mapped[str]
    sealed: Mapped[bytes]
    day: Mapped[date]
    """The legal day of the check-in, which must not be that of the enrolment."""
    at: Mapped[datetime]


class FaceThresholdVersion(Base):
    """Thresholds of an engine, learned at one time. Rows are only appended, and contain no personal data.

    A version with `effect` approval is only proposed until a province administrator approves it.
    """

    __tablename__ = "face_threshold"
    __tenancy__ = "open"
    __table_args__ = (
        UniqueConstraint("engine_id", "engine_version", "version"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("reject_below <= accept_from", name="order"),
        CheckConstraint("effect IN ('at_once', 'approval')", name="effect"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    engine_id: Mapped[str]
    engine_version: Mapped[str]
    version: Mapped[int]
    method: Mapped[str]
    population_version: Mapped[int]
    accept_from: Mapped[float]
    reject_below: Mapped[float]
    people: Mapped[int]
    probes: Mapped[int]
    minimum: Mapped[int]
    demonstration: Mapped[bool]
    """Learned with the minimum of a demonstration; a deployment that is none does not use it."""
    groups: Mapped[list[Any]]
    """Figures of each group (`figures.group_json`), the strictest first; those without a threshold last."""
    policy_version: Mapped[str]
    effect: Mapped[str]
    reason: Mapped[str]
    learned_at: Mapped[datetime]


class FaceThresholdApproval(Base):
    """A province administrator's approval of a proposed version."""

    __tablename__ = "face_threshold_approval"
    __tenancy__ = "open"

    threshold_id: Mapped[UUID] = mapped_column(ForeignKey("face_threshold.id"), primary_key=True)
    account_id: Mapped[UUID]
    reasons: Mapped[str]
    at: Mapped[datetime]


class FaceSchoolThreshold(Base):
    """A higher accepting threshold of one school, whose own people require it; never a lower one."""

    __tablename__ = "face_school_threshold"
    __tenancy__ = "school"

    threshold_id: Mapped[UUID] = mapped_column(ForeignKey("face_threshold.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    accept_from: Mapped[float]
