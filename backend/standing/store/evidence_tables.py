"""ORM tables of what a superior adds to a prompt: evidence, a closure for want of evidence, answers to late leave."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class EvidenceCompleted(Base):
    """A superior's record that proves a missing part of a check's evidence (invariant 7).

    For the part `notice`, `delivered_at` is when the notice reached the student, and `how` the kind of delivery.
    """

    __tablename__ = "evidence_completed"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("part IN ('notice', 'submissions')", name="part"),
        CheckConstraint("(part = 'notice') = (delivered_at IS NOT NULL)", name="delivered_at"),
        Index("ix_evidence_completed_student_id", "student_id"),
    )

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    part: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"))
    delivered_at: Mapped[datetime | None]
    how: Mapped[str | None]
    note: Mapped[str]
    recorded_by: Mapped[UUID]
    at: Mapped[datetime]


class PromptClosed(Base):
    """The superior closed a prompt because evidence is missing and cannot be completed."""

    __tablename__ = "prompt_closed"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_prompt_closed_student_id", "student_id"),)

    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    reasons: Mapped[str]
    closed_by: Mapped[UUID]
    at: Mapped[datetime]


class LateLeaveAnswer(Base):
    """The superior's answer to leave that was filed after the absence that it covers began (reading 19)."""

    __tablename__ = "late_leave_answer"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_late_leave_answer_student_id", "student_id"),)

    leave_id: Mapped[UUID] = mapped_column(ForeignKey("leave_request.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    accepted: Mapped[bool]
    opinion: Mapped[str]
    answered_by: Mapped[UUID]
    at: Mapped[datetime]
