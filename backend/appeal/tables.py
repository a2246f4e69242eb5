"""Tables of appeals. Rows are only inserted. `AppealFiled` and `AppealDecided` belong to `backend.standing`."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class AppealCase(Base):
    """The level and the deciding authority of an appeal, fixed when it was filed.

    `unit_path` is the authority's path. `judged_on` is the legal day on which the student was not eligible for the gaokao.
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
    """The deadline of an appeal; no row while a calendar year is missing to compute it (reading 7)."""

    __tablename__ = "appeal_due"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_appeal_due_due_at", "due_at"),)

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_case.appeal_id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    due_at: Mapped[datetime]
    computed_at: Mapped[datetime]


class AppealMessage(Base):
    """A message of one side, in the order of `seq`. The first one holds the grounds. Files are attached to messages."""

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
    """An account of one side has read a message of the other side."""

    __tablename__ = "appeal_message_read"
    __tenancy__ = "student"

    message_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_message.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    at: Mapped[datetime]


class AppealReminder(Base):
    """A reminder sent to the deciding unit on the `working_day`-th working day; the last one says it is overdue."""

    __tablename__ = "appeal_reminder"
    __tenancy__ = "school"

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_case.appeal_id"), primary_key=True)
    working_day: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    at: Mapped[datetime]


class AppealImpartiality(Base):
    """The accounts that took part in the matter under appeal, as of the decision.

    The decider is not among them, unless it was the only account of the province (`sole_account`).
    """

    __tablename__ = "appeal_impartiality"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("decided_by <> filed_by", name="by_another_account"),
        CheckConstraint("sole_account OR decided_by <> ALL (took_part)", name="took_no_part"),
    )

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_decided.appeal_id"), primary_key=True)
    school_id: Mapped[UUID]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    took_part: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    sole_account: Mapped[bool] = mapped_column(default=False)


class GaokaoFinding(Base):
    """The result of an upheld appeal: the student is eligible for the gaokao of the year (HN334-2.4, 4.2)."""

    __tablename__ = "gaokao_finding"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_gaokao_finding_student", "student_id", "exam_year"),)

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_decided.appeal_id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    exam_year: Mapped[int] = mapped_column(SmallInteger)
    statement: Mapped[str]
    at: Mapped[datetime]
