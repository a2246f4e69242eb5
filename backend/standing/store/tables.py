"""Tables of what the engine derives from facts: prompts, ledger entries, aid releases, warnings, assessments.

Derived rows are stored because they have effects: a prompt was sent, a change was applied. Their ids come from the
engine, so storing twice stores once. Apart from the read model `student_standing`, rows are only added.
The facts that people record are in `event_tables.py`.
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
from backend.standing.store.evidence_tables import EvidenceCompleted, LateLeaveAnswer, PromptClosed

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
    "EvidenceCompleted",
    "LateLeaveAnswer",
    "OutageDecision",
    "OutageEnded",
    "OutageRecord",
    "PromptClosed",
    "PromptDecision",
    "PromptDelivered",
    "PromptRecord",
    "PromptReminder",
    "PromptStatement",
    "PromptStep",
    "ProvinceApproved",
    "ReasonClaimRecord",
    "ReplayDifference",
    "ReplayDifferenceReview",
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
    """The latest non-empty assessment of a student. A read model that can be rebuilt.

    `assessment` is `engine.assess.Assessment` as canonical JSON, and `digest` the digest of its content. `next_at` is
    the next instant at which time alone can change it.
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
    """A prompt as it was raised, with its trace. Its later states are its steps."""

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
    """A state of a prompt; the step with the highest `seq` is in effect.

    `closed_by` is a decision, `policy`, or the reason for the withdrawal.
    """

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
    """One entry of the append-only ledger, with the status before and after it (HN334-4.1b, 4.2)."""

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
    """The ledger entries numbered after their commit, for platforms that share the data (HN334-2.4).

    Entries can be committed in another order than that of their instants. `seq` follows the commits, so a reader who
    has read up to a number has missed nothing before it.
    """

    __tablename__ = "standing_feed"
    __tenancy__ = "school"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("standing_entry.id"), unique=True)
    school_id: Mapped[UUID]
    at: Mapped[datetime]


class AidReleaseRecord(Base):
    """From `at` the unpaid aid of a change's term may be withdrawn: no blocker remained (reading 12)."""

    __tablename__ = "aid_released"
    __tenancy__ = "student"

    change_id: Mapped[UUID] = mapped_column(ForeignKey("standing_entry.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    at: Mapped[datetime]


class StandingWarningRecord(Base):
    """A warning, given once: what will happen if nothing changes."""

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
    """A school was assessed on a legal day. One row, however often or late the job runs."""

    __tablename__ = "daily_assessment"
    __tenancy__ = "school"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    legal_day: Mapped[date] = mapped_column(primary_key=True)
    students: Mapped[int]
    changed: Mapped[int]
    finished_at: Mapped[datetime]


class ReplayRun(Base):
    """The students of a school who had changed up to `until` were replayed on a legal day."""

    __tablename__ = "replay_run"
    __tenancy__ = "school"

    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"), primary_key=True)
    legal_day: Mapped[date] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    students: Mapped[int]
    differing: Mapped[int]
    finished_at: Mapped[datetime]


class ReplayDifference(Base):
    """The facts gave another result than the stored one. Nothing was changed; a person must look at it."""

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


class ReplayDifferenceReview(Base):
    """What a named person found when looking at a difference. It changes nothing else."""

    __tablename__ = "replay_difference_review"
    __tenancy__ = "school"

    difference_id: Mapped[UUID] = mapped_column(ForeignKey("replay_difference.id"), primary_key=True)
    school_id: Mapped[UUID]
    reviewed_by: Mapped[UUID]
    note: Mapped[str]
    at: Mapped[datetime]
