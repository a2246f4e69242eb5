"""Tables of roll calls. Almost every row is written once; later events are separate rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column

from backend.core.database import Base
from backend.roll_call.attestation_tables import (
    Attestation,
    AttestationEscalation,
    AttestationReview,
    StudentCode,
    WrongCardCode,
)
from backend.roll_call.look_tables import LookAnswer, LookClosing, LookNotice, LookRequest
from backend.roll_call.partitioning import (
    PARTITION_BY_TERM,
    mapper_key,
    roll_call_foreign_key,
    submission_foreign_key,
)
from backend.roll_call.submission_tables import (
    Challenge,
    CheckInCell,
    Refusal,
    Submission,
    SubmissionFrame,
    VerdictRecord,
    VerificationTask,
    VerificationThroughput,
)

__all__ = [
    "Attestation",
    "AttestationEscalation",
    "AttestationReview",
    "Challenge",
    "CheckInCell",
    "HalfYearRegistration",
    "LookAnswer",
    "LookClosing",
    "LookNotice",
    "LookRequest",
    "Obligation",
    "OutcomeCount",
    "OutcomeCountPending",
    "OutcomeEntry",
    "OutcomeMinute",
    "Refusal",
    "RehearsalReminder",
    "Reminder",
    "RollCall",
    "RollCallClass",
    "RollCallExtension",
    "RollCallSchool",
    "RollCallSite",
    "RollCallStep",
    "StudentCode",
    "Submission",
    "SubmissionFrame",
    "VerdictRecord",
    "VerificationTask",
    "VerificationThroughput",
    "WrongCardCode",
]


class RollCallExtension(Base):
    """An extension of the window by the time the service was unavailable (reading 8). It only ever adds time."""

    __tablename__ = "roll_call_extension"
    __tenancy__ = "roll_call"
    __table_args__ = (CheckConstraint("lost_seconds > 0", name="lost_seconds"),)

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    until: Mapped[datetime] = mapped_column(primary_key=True)
    lost_seconds: Mapped[int]
    at: Mapped[datetime]


class RollCall(Base):
    """A roll call as launched. The row is never changed (invariant 10)."""

    __tablename__ = "roll_call"
    __tenancy__ = "roll_call"
    __table_args__ = (
        CheckConstraint("kind IN ('spot_check', 'registration', 'rehearsal', 'school_own')", name="kind"),
        CheckConstraint("notify_at <= opens_at AND opens_at < closes_at", name="window"),
        UniqueConstraint("id", "term_code"),
        Index("ix_roll_call_closes_at", "closes_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    title: Mapped[str]
    launcher_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    launcher_path: Mapped[str]
    launched_by: Mapped[UUID]
    term_code: Mapped[str]
    audience: Mapped[dict[str, Any]]
    seed: Mapped[str | None]
    place: Mapped[str]
    policy_version: Mapped[str]
    launched_at: Mapped[datetime]
    notify_at: Mapped[datetime]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    frames_until: Mapped[datetime]
    extended_until: Mapped[datetime | None] = column_property(
        select(func.max(RollCallExtension.until))
        .where(RollCallExtension.roll_call_id == id)  # noqa: A003 - the column above
        .correlate_except(RollCallExtension)
        .scalar_subquery()
    )

    @property
    def deadline(self) -> datetime:
        """The actual close: the latest extension, otherwise the close as launched (reading 8)."""
        return self.extended_until or self.closes_at

    @property
    def frames_deadline(self) -> datetime:
        """Until when the frames of the last envelopes may arrive."""
        return self.deadline + (self.frames_until - self.closes_at)


class RollCallStep(Base):
    """A step that a roll call takes at most once: announced, settled, voided."""

    __tablename__ = "roll_call_step"
    __tenancy__ = "roll_call"
    __table_args__ = (CheckConstraint("step IN ('announced', 'settled', 'voided')", name="step"),)

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    acting_account: Mapped[UUID | None]
    reason: Mapped[str | None]
    figures: Mapped[dict[str, Any] | None]
    at: Mapped[datetime]


class RollCallSchool(Base):
    """A school of the audience with its counts, frozen at launch. Visibility of the roll call is based on this table."""

    __tablename__ = "roll_call_school"
    __tenancy__ = "shared_school"
    __table_args__ = (Index("ix_roll_call_school_school", "school_id", "roll_call_id"),)

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    owed: Mapped[int]
    excused: Mapped[int]
    exempt: Mapped[int]


class RollCallClass(Base):
    """A class of the audience with its counts, frozen at launch: the denominators of progress."""

    __tablename__ = "roll_call_class"
    __tenancy__ = "shared_school"
    __mapper_args__ = mapper_key("roll_call_id", "class_id")
    __table_args__ = (
        roll_call_foreign_key(),
        PARTITION_BY_TERM,
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    class_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    owed: Mapped[int]
    excused: Mapped[int]
    exempt: Mapped[int]


class RollCallSite(Base):
    """A fence frozen at launch: one approved version of a filed site of the school."""

    __tablename__ = "roll_call_site"
    __tenancy__ = "shared_school"
    __mapper_args__ = mapper_key("roll_call_id", "site_version_id")
    __table_args__ = (
        roll_call_foreign_key(),
        PARTITION_BY_TERM,
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    site_version_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)


class Obligation(Base):
    """A student of the audience, frozen at launch by one INSERT … SELECT from the roll.

    `duty` is `owed` (must prove presence), `excused` (owed, but on approved leave) or `exempt` (part-time, suspended,
    …), with its reason. In every sum, obligations are the owed and the excused.
    """

    __tablename__ = "obligation"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("roll_call_id", "student_id")
    __table_args__ = (  # instead of a foreign key, a trigger checks the roll call once per statement
        CheckConstraint("duty IN ('owed', 'excused', 'exempt')", name="duty"),
        CheckConstraint("(duty = 'owed') = (reason IS NULL)", name="reason"),
        Index("ix_obligation_class", "roll_call_id", "school_id", "class_id"),
        PARTITION_BY_TERM,
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    class_id: Mapped[UUID]
    duty: Mapped[str]
    reason: Mapped[str | None]
    standing: Mapped[str]
    study_form: Mapped[str]
    programme: Mapped[str]


class OutcomeEntry(Base):
    """The legal result of one obligation. The highest `seq` is current; nothing is overwritten (invariants 3 and 8)."""

    __tablename__ = "outcome_entry"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("roll_call_id", "student_id", "seq")
    __table_args__ = (
        submission_foreign_key(),
        CheckConstraint("outcome IN ('present', 'missed', 'excused', 'undetermined')", name="outcome"),
        CheckConstraint("seq >= 1", name="seq"),
        Index(
            "ix_outcome_entry_others",
            "roll_call_id",
            "school_id",
            "outcome",
            "student_id",
            postgresql_where=text("outcome <> 'present'"),
        ),
        Index(
            "ix_outcome_entry_missed",
            "school_id",
            "roll_call_id",
            "student_id",
            postgresql_where=text("outcome = 'missed'"),
        ),
        Index(
            "ix_outcome_entry_undetermined",
            "school_id",
            "at",
            postgresql_where=text("outcome = 'undetermined'"),
        ),
        PARTITION_BY_TERM,
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    class_id: Mapped[UUID]
    outcome: Mapped[str]
    reason: Mapped[str]
    method: Mapped[str]
    submission_id: Mapped[UUID | None]
    acting_account: Mapped[UUID | None]
    policy_version: Mapped[str]
    trace: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class OutcomeCount(Base):
    """Current outcomes of a class by kind. Maintained by the database; the application only reads it.

    `version` increases with every flush, so that a reader can ask for the counters above the highest version it knows.
    """

    __tablename__ = "outcome_count"
    __tenancy__ = "shared_school"
    __mapper_args__ = mapper_key("roll_call_id", "class_id")
    __table_args__ = (Index("ix_outcome_count_version", "roll_call_id", "version"),)

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    class_id: Mapped[UUID] = mapped_column(primary_key=True)
    present: Mapped[int]
    missed: Mapped[int]
    excused: Mapped[int]
    undetermined: Mapped[int]
    version: Mapped[int] = mapped_column(BigInteger)


class OutcomeCountPending(Base):
    """The change that one statement made to the outcomes of a class, until it is flushed into `outcome_count`."""

    __tablename__ = "outcome_count_pending"
    __tenancy__ = "shared_school"
    __mapper_args__ = mapper_key("id")
    __table_args__ = (Index("ix_outcome_count_pending_roll_call", "roll_call_id", "class_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    roll_call_id: Mapped[UUID]
    class_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    minute: Mapped[datetime]
    present: Mapped[int]
    missed: Mapped[int]
    excused: Mapped[int]
    undetermined: Mapped[int]


class OutcomeMinute(Base):
    """How the outcomes of a school changed within one minute. Maintained by the database with `outcome_count`.

    The sum over all minutes of a school is the sum of its counters. A corrected outcome counts in the minute of the
    correction, so a number may be negative.
    """

    __tablename__ = "outcome_minute"
    __tenancy__ = "school"

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    present: Mapped[int]
    missed: Mapped[int]
    excused: Mapped[int]
    undetermined: Mapped[int]


class RehearsalReminder(Base):
    """A superior asked the registrars of a school to complete the rehearsal of a cohort (HN334-5.1)."""

    __tablename__ = "rehearsal_reminder"
    __tenancy__ = "school"
    __table_args__ = (Index("ix_rehearsal_reminder_school", "school_id", "cohort", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    cohort: Mapped[str]
    sent_by: Mapped[UUID]
    at: Mapped[datetime]


class Reminder(Base):
    """Staff reminded students of a class who were not present yet: those of `student_ids`, or all (HN334-3.4)."""

    __tablename__ = "reminder"
    __tenancy__ = "school"
    __mapper_args__ = mapper_key("id")
    __table_args__ = (
        roll_call_foreign_key(),
        Index("ix_reminder_roll_call", "roll_call_id", "school_id", "at"),
        PARTITION_BY_TERM,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    class_id: Mapped[UUID | None]
    student_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid()))
    sent_by: Mapped[UUID]
    students: Mapped[int]
    at: Mapped[datetime]


class HalfYearRegistration(Base):
    """A part-time student's registration: one in each term's period, at most two a year (HN334-2.2, reading 21)."""

    __tablename__ = "half_year_registration"
    __tenancy__ = "student"
    __table_args__ = (UniqueConstraint("student_id", "year", "number"),)

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    year: Mapped[int]
    number: Mapped[int] = mapped_column(SmallInteger)
    school_id: Mapped[UUID]
    at: Mapped[datetime]
