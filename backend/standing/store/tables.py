"""What standing stores: facts that people recorded, and what the rules made of them. Rows are added, never altered.

The rules derive everything from facts; what they derive is stored because it has effects: a prompt was told, a
change was applied. Ids of derived rows are those of `rules.assess`, so storing twice stores once.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base
from backend.standing.store.event_tables import (
    AppealDecided,
    AppealFiled,
    AppealWithdrawn,
    AttendanceEntry,
    ChangeRequest,
    ChangeRequestStep,
    ChangeReversed,
    ClaimDecision,
    DismissalAnswer,
    OutageDecision,
    OutageEnded,
    OutageRecord,
    PromptDecision,
    PromptDelivered,
    PromptStatement,
    ProvinceApproved,
    ReasonClaimRecord,
    StandingEdit,
)

__all__ = [
    "AidReleaseRecord",
    "AppealDecided",
    "AppealFiled",
    "AppealWithdrawn",
    "AttendanceEntry",
    "ChangeRequest",
    "ChangeRequestStep",
    "ChangeReversed",
    "ClaimDecision",
    "DailyAssessment",
    "DismissalAnswer",
    "OutageDecision",
    "OutageEnded",
    "OutageRecord",
    "PromptDecision",
    "PromptDelivered",
    "PromptRecord",
    "PromptReminder",
    "PromptStatement",
    "PromptStep",
    "ProvinceApproved",
    "ReasonClaimRecord",
    "ReplayDifference",
    "ReplayRun",
    "StandingEdit",
    "StandingEntry",
    "StandingFeed",
    "StandingOrigin",
    "StandingWarningRecord",
    "StudentStanding",
]

STATES = (
    "'undelivered', 'running', 'dismissal_pending', 'blocked', 'escalated',"
    " 'decided', 'executed', 'dismissed', 'withdrawn'"
)


class StudentStanding(Base):
    """The newest picture of a student about whom there is something to say. A read model: it may be rebuilt.

    `assessment` is `rules.Picture` as canonical JSON data, `digest` that of its bytes; `next_at` is the next instant
    at which time alone may change it.
    """

    __tablename__ = "student_standing"
    __tenancy__ = "student"
    __table_args__ = (
        Index("ix_student_standing_school", "school_id"),
        Index("ix_student_standing_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    as_of: Mapped[datetime]
    policy_version: Mapped[str]
    digest: Mapped[bytes]
    locked_by: Mapped[UUID | None]
    assessment: Mapped[dict[str, Any]]
    next_at: Mapped[datetime | None]


class StandingOrigin(Base):
    """The status before the first entry of a student's ledger."""

    __tablename__ = "standing_origin"
    __tenancy__ = "student"

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID]
    standing: Mapped[str]
    study_form: Mapped[str]
    at: Mapped[datetime]


class PromptRecord(Base):
    """A prompt as it was raised, with its trace; what becomes of it are its steps."""

    __tablename__ = "prompt"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("kind IN ('misses', 'leave_over_cap', 'absence_without_leave')", name="kind"),
        UniqueConstraint("id", "school_id", "student_id"),
        Index("ix_prompt_student", "student_id", "raised_at"),
        Index("ix_prompt_school", "school_id", "raised_at"),
        Index("ix_prompt_raised_at", "raised_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    kind: Mapped[str]
    term_code: Mapped[str]
    grounds: Mapped[list[Any]]
    evidence: Mapped[list[Any]]
    event_day: Mapped[date]
    raised_at: Mapped[datetime]
    proposed: Mapped[str]
    policy_version: Mapped[str]
    trace: Mapped[dict[str, Any]]


class PromptStep(Base):
    """A state that a prompt came into; the highest `seq` is in effect. `closed_by`: a decision, `policy`, or why."""

    __tablename__ = "prompt_step"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint(f"state IN ({STATES})", name="state"),
        Index("ix_prompt_step_student", "student_id"),
    )

    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    state: Mapped[str]
    delivered_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    missing_year: Mapped[int | None]
    blockers: Mapped[list[Any]]
    dismissal: Mapped[UUID | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]
    acting_account: Mapped[UUID | None]
    at: Mapped[datetime]


class StandingEntry(Base):
    """One entry of the append-only ledger, with the earlier state kept (HN334-4.1b, 4.2)."""

    __tablename__ = "standing_entry"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("cause IN ('decision', 'expiry', 'appeal', 'reversal', 'edit')", name="cause"),
        CheckConstraint("(cause IN ('appeal', 'reversal')) = (reverses IS NOT NULL)", name="reverses"),
        CheckConstraint("(cause IN ('decision', 'expiry')) <= (prompt_id IS NOT NULL)", name="prompt"),
        UniqueConstraint("student_id", "seq"),
        UniqueConstraint("reverses"),
        Index("ix_standing_entry_school", "school_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    seq: Mapped[int] = mapped_column(SmallInteger)
    at: Mapped[datetime]
    cause: Mapped[str]
    caused_by: Mapped[str]
    outcome: Mapped[str]
    change_kind: Mapped[str]
    standing_before: Mapped[str]
    study_form_before: Mapped[str]
    standing_after: Mapped[str]
    study_form_after: Mapped[str]
    prompt_id: Mapped[UUID | None] = mapped_column(ForeignKey("prompt.id"))
    reverses: Mapped[UUID | None] = mapped_column(ForeignKey("standing_entry.id"))
    acting_account: Mapped[UUID | None]
    policy_version: Mapped[str]
    trace: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]


class StandingFeed(Base):
    """The ledger's entries numbered after their commit, for platforms that share the data (HN334-2.4).

    Entries of one instant may be committed in another order than they were stamped; `seq` follows the commits, so
    whoever has read up to a number has missed nothing before it.
    """

    __tablename__ = "standing_feed"
    __tenancy__ = "school"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("standing_entry.id"), unique=True)
    school_id: Mapped[UUID]
    at: Mapped[datetime]


class AidReleaseRecord(Base):
    """From `at` the unpaid aid of a change's term is withdrawn: no blocker was left (reading 12)."""

    __tablename__ = "aid_released"
    __tenancy__ = "student"

    change_id: Mapped[UUID] = mapped_column(ForeignKey("standing_entry.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    at: Mapped[datetime]


class StandingWarningRecord(Base):
    """A warning that was given once: what will follow if nothing changes."""

    __tablename__ = "standing_warning"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_standing_warning_student", "student_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    code: Mapped[str]
    term_code: Mapped[str]
    facts: Mapped[list[Any]]
    proposed: Mapped[str | None]
    at: Mapped[datetime]


class PromptReminder(Base):
    """The registrar was reminded on the `working_day`-th working day after delivery."""

    __tablename__ = "prompt_reminder"
    __tenancy__ = "school"

    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"), primary_key=True)
    working_day: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    at: Mapped[datetime]


class DailyAssessment(Base):
    """A school was assessed on a legal day: once, however often the job runs and however late."""

    __tablename__ = "daily_assessment"
    __tenancy__ = "school"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    legal_day: Mapped[date] = mapped_column(primary_key=True)
    students: Mapped[int]
    changed: Mapped[int]
    finished_at: Mapped[datetime]


class ReplayRun(Base):
    """What a school keeps of its students was replayed on a legal day: of everyone who had changed up to `until`."""

    __tablename__ = "replay_run"
    __tenancy__ = "school"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    legal_day: Mapped[date] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    students: Mapped[int]
    differing: Mapped[int]
    finished_at: Mapped[datetime]


class ReplayDifference(Base):
    """A replay found something else than what is stored; a person must look. Nothing was changed by it."""

    __tablename__ = "replay_difference"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("found_by IN ('replay', 'assessment')", name="found_by"),
        UniqueConstraint("student_id", "digest"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    found_by: Mapped[str]
    digest: Mapped[bytes]
    differences: Mapped[list[Any]]
    found_at: Mapped[datetime]
