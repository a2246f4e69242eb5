"""The table of graduations."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class Graduation(Base):
    """A student's graduation (毕业) or completion (结业), with the certificate and the photograph on it (HRSS28-2.4).

    `edit_id` is the change of standing. `is_late` tells that it was processed after the day of leaving.
    """

    __tablename__ = "graduation"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("result IN ('07', '08')", name="result"),
        Index("uq_graduation_certificate", "school_id", "certificate_number", unique=True),
        Index("ix_graduation_school", "school_id", "student_id"),
    )

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    result: Mapped[str]
    certificate_number: Mapped[str]
    portrait_id: Mapped[UUID]
    leaving_on: Mapped[date]
    is_late: Mapped[bool]
    edit_id: Mapped[UUID] = mapped_column(ForeignKey("standing_edit.id"))
    recorded_by: Mapped[UUID]
    at: Mapped[datetime]
