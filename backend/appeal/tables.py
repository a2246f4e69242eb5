"""The cases of appeals. Rows are added, never altered; the fact that one was filed or decided is standing's."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class AppealCase(Base):
    """Who decides on an appeal, as it was routed when it was filed. `unit_path` is that authority's.

    `judged_on` is the legal day on which eligibility for the gaokao was found missing.
    """

    __tablename__ = "appeal_case"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("level >= 1", name="level"),
        Index("ix_appeal_case_unit", "unit_id", "appeal_id"),
    )

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_filed.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    level: Mapped[int] = mapped_column(SmallInteger)
    unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    unit_path: Mapped[str]
    judged_on: Mapped[date | None]


class AppealDue(Base):
    """By when an appeal is to be decided; no row while a calendar year on the way is missing (reading 7)."""

    __tablename__ = "appeal_due"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_appeal_due_due_at", "due_at"),)

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_case.appeal_id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    due_at: Mapped[datetime]
    computed_at: Mapped[datetime]


class AppealMessage(Base):
    """What a side says, in the order of `seq`; the first are the grounds. Files hang on a message."""

    __tablename__ = "appeal_message"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("side IN ('appellant', 'unit')", name="side"),
        UniqueConstraint("appeal_id", "seq"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_case.appeal_id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(SmallInteger)
    side: Mapped[str]
    author: Mapped[UUID]
    text: Mapped[str]
    at: Mapped[datetime]


class AppealMessageRead(Base):
    """An account of one side has read a message of the other."""

    __tablename__ = "appeal_message_read"
    __tenancy__ = "student"

    message_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_message.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    at: Mapped[datetime]


class AppealReminder(Base):
    """The deciding unit was reminded on the `working_day`-th working day; the last one says that it is overdue."""

    __tablename__ = "appeal_reminder"
    __tenancy__ = "school"

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_case.appeal_id"), primary_key=True)
    working_day: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    at: Mapped[datetime]


class AppealImpartiality(Base):
    """Who took part in what was appealed against, as found when it was decided: the decider is none of them."""

    __tablename__ = "appeal_impartiality"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("decided_by <> filed_by", name="not_their_own"),
        CheckConstraint("decided_by <> ALL (took_part)", name="took_no_part"),
    )

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_decided.appeal_id"), primary_key=True)
    school_id: Mapped[UUID]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    took_part: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))


class GaokaoFinding(Base):
    """An upheld appeal: the student is eligible for this year's gaokao (HN334-2.4, 4.2)."""

    __tablename__ = "gaokao_finding"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_gaokao_finding_student", "student_id", "exam_year"),)

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_decided.appeal_id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    exam_year: Mapped[int] = mapped_column(SmallInteger)
    statement: Mapped[str]
    at: Mapped[datetime]
