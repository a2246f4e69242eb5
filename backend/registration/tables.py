"""Tables of registration: how each student came onto the roll, and permissions to add earlier students."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class StudentRegistration(Base):
    """The registration of a student at a school (MOE19-2.3a). It is written once, when the student comes onto the roll.

    `season` is `2026-autumn`. `recorded_on` is the legal day of the electronic record, `record_due_on` its last day;
    None for students who were registered before, for whom it is not known. `cut_off_on` is the cut-off that applied,
    `instrument` and `article` its source under the policy version.
    """

    __tablename__ = "student_registration"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("basis IN ('new', 'carried_over', 'transfer')", name="basis"),
        CheckConstraint("(basis = 'new') = (record_due_on IS NOT NULL)", name="record_due_on"),
        Index("ix_student_registration_school", "school_id", "season", "student_id"),
        Index("ix_student_registration_season", "season", "student_id"),
    )

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    season: Mapped[str]
    basis: Mapped[str]
    entered_on: Mapped[date]
    recorded_on: Mapped[date]
    record_due_on: Mapped[date | None]
    cut_off_on: Mapped[date]
    instrument: Mapped[str]
    article: Mapped[str]
    policy_version: Mapped[str]
    recorded_by: Mapped[UUID | None]
    at: Mapped[datetime]


class CarryOverPermission(Base):
    """A superior's permission for a school to add students who were registered before, up to and including `until`.

    After its first rosters a school cannot add students of closed seasons without it, so that no cut-off is evaded.
    """

    __tablename__ = "carry_over_permission"
    __tenancy__ = "school"
    __table_args__ = (Index("ix_carry_over_permission_school", "school_id", "until"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    until: Mapped[date]
    reasons: Mapped[str]
    granted_by: Mapped[UUID]
    at: Mapped[datetime]
