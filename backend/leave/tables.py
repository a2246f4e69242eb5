"""Leave requests with their decisions, cancellations and returns. All tables are append-only."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base
from backend.leave.kinds import LeaveKind

_LEAVE = ("leave_id", "school_id", "student_id")
_REQUEST = ("leave_request.id", "leave_request.school_id", "leave_request.student_id")


class LeaveRequest(Base):
    """A request for leave from `starts_at` to `ends_at` (exclusive).

    The reason is encrypted (`backend.leave.reasons`), because it may be health data.
    """

    __tablename__ = "leave_request"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint(f"kind IN ({', '.join(repr(kind.value) for kind in LeaveKind)})", name="kind"),
        CheckConstraint("starts_at < ends_at", name="interval"),
        UniqueConstraint("id", "school_id", "student_id"),
        UniqueConstraint("id", "filed_by"),
        Index("ix_leave_request_student", "student_id", "starts_at"),
        Index("ix_leave_request_ends_at", "ends_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    kind: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason_sealed: Mapped[bytes]
    filed_by: Mapped[UUID]
    filed_at: Mapped[datetime]


class LeaveDecision(Base):
    """The decision on a request, at most one. `filed_by` repeats the request's so that a constraint can compare it."""

    __tablename__ = "leave_decision"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(_LEAVE, _REQUEST, name="fk_leave_decision_request"),
        ForeignKeyConstraint(["leave_id", "filed_by"], ["leave_request.id", "leave_request.filed_by"]),
        CheckConstraint("decided_by <> filed_by", name="by_another_account"),
        CheckConstraint("outcome IN ('approved', 'declined')", name="outcome"),
        CheckConstraint("outcome = 'approved' OR opinion IS NOT NULL", name="opinion"),
    )

    leave_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    outcome: Mapped[str]
    opinion: Mapped[str | None]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    represented_counselor_id: Mapped[UUID | None] = mapped_column(ForeignKey("counselor.id"))
    """The counselor for whom a stand-in decided."""
    decided_at: Mapped[datetime]


class LeaveCancellation(Base):
    """A cancellation. Before the start the leave has no effect; later, the leave ends at `cancelled_at`."""

    __tablename__ = "leave_cancellation"
    __tenancy__ = "student"
    __table_args__ = (ForeignKeyConstraint(_LEAVE, _REQUEST, name="fk_leave_cancellation_request"),)

    leave_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    reason: Mapped[str | None]
    cancelled_by: Mapped[UUID]
    cancelled_at: Mapped[datetime]


class LeaveReturn(Base):
    """The student's return at `returned_at` (销假), recorded at `recorded_at`."""

    __tablename__ = "leave_return"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(_LEAVE, _REQUEST, name="fk_leave_return_request"),
        CheckConstraint("returned_at <= recorded_at", name="past"),
    )

    leave_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    returned_at: Mapped[datetime]
    recorded_by: Mapped[UUID]
    recorded_at: Mapped[datetime]


class LeaveStandIn(Base):
    """A counselor decides on leave for another from `starts_at` to `ends_at` (exclusive)."""

    __tablename__ = "leave_stand_in"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("counselor_id <> stand_in_id", name="somebody_else"),
        CheckConstraint("starts_at < ends_at", name="interval"),
        Index("ix_leave_stand_in_stand_in", "stand_in_id", "ends_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    counselor_id: Mapped[UUID] = mapped_column(ForeignKey("counselor.id"))
    stand_in_id: Mapped[UUID] = mapped_column(ForeignKey("counselor.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    named_by: Mapped[UUID]
    named_at: Mapped[datetime]


class LeaveStandInEnded(Base):
    """The early end of a stand-in."""

    __tablename__ = "leave_stand_in_ended"
    __tenancy__ = "school"

    arrangement_id: Mapped[UUID] = mapped_column(ForeignKey("leave_stand_in.id"), primary_key=True)
    school_id: Mapped[UUID]
    ended_by: Mapped[UUID]
    ended_at: Mapped[datetime]
