"""Tables of the facts that people record and that standing depends on. Rows are added, never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base


class PromptDelivered(Base):
    """The delivery of a prompt to the registrar, from which the working days run (reading 7). The first counts."""

    __tablename__ = "prompt_delivered"
    __tenancy__ = "student"

    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    at: Mapped[datetime]
    how: Mapped[str]
    note: Mapped[str | None]
    acting_account: Mapped[UUID | None]


class PromptDecision(Base):
    """A decision on a prompt by the registrar or, after an escalation, by the superior."""

    __tablename__ = "prompt_decision"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("role IN ('registrar', 'superior')", name="role"),
        CheckConstraint("(outcome = 'dismiss') = (found_reason IS NOT NULL)", name="found_reason"),
        UniqueConstraint("id", "decided_by"),
        Index("ix_prompt_decision_prompt", "prompt_id"),
        Index("ix_prompt_decision_student", "student_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    role: Mapped[str]
    outcome: Mapped[str]
    reasons: Mapped[str]
    found_reason: Mapped[str | None]
    found_text: Mapped[str]
    decided_by: Mapped[UUID]
    at: Mapped[datetime]


class DismissalAnswer(Base):
    """The superior's answer to a dismissal, never by the person who dismissed (invariant 9)."""

    __tablename__ = "dismissal_answer"
    __tenancy__ = "student"
    __table_args__ = (CheckConstraint("answered_by <> decided_by", name="by_another_account"),)

    decision_id: Mapped[UUID] = mapped_column(ForeignKey("prompt_decision.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    accepted: Mapped[bool]
    opinion: Mapped[str]
    decided_by: Mapped[UUID]
    answered_by: Mapped[UUID]
    at: Mapped[datetime]


class PromptStatement(Base):
    """A student's statement on a prompt, shown to the person who decides."""

    __tablename__ = "prompt_statement"
    __tenancy__ = "student"
    __table_args__ = (
        Index("ix_prompt_statement_prompt", "prompt_id"),
        Index(
            "ix_prompt_statement_guardian_link",
            "guardian_link_id",
            postgresql_where=text("guardian_link_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    text: Mapped[str]
    filed_by: Mapped[UUID]
    guardian_link_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian_link.id"))
    """The link of the guardian who filed it for the student; `filed_by` is then the guardian's id on the roster."""
    at: Mapped[datetime]


class ReasonClaimRecord(Base):
    """A claim that a miss had a justified reason (readings 6 and 10). `leave_id`: leave that was filed too late.

    A person can claim once for a check; after a refusal only an appeal remains.
    """

    __tablename__ = "reason_claim"
    __tenancy__ = "student"
    __table_args__ = (
        UniqueConstraint("id", "filed_by"),
        Index("ix_reason_claim_student", "student_id"),
        Index(
            "ix_reason_claim_guardian_link",
            "guardian_link_id",
            postgresql_where=text("guardian_link_id IS NOT NULL"),
        ),
        Index("ix_reason_claim_roll_call", "roll_call_id", "filed_at"),
        Index(
            "uq_reason_claim_leave",
            "roll_call_id",
            "leave_id",
            unique=True,
            postgresql_where=text("leave_id IS NOT NULL"),
        ),
        Index(
            "uq_reason_claim_person",
            "roll_call_id",
            "student_id",
            unique=True,
            postgresql_where=text("leave_id IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    reason: Mapped[str]
    text: Mapped[str]
    leave_id: Mapped[UUID | None] = mapped_column(ForeignKey("leave_request.id"))
    filed_by: Mapped[UUID]
    guardian_link_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian_link.id"))
    """The link of the guardian who filed it for the student; `filed_by` is then the guardian's id on the roster."""
    filed_at: Mapped[datetime]


class ClaimDecision(Base):
    """The launcher's decision on a claim, made once and never by the person who filed it."""

    __tablename__ = "reason_claim_decision"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(["claim_id", "filed_by"], ["reason_claim.id", "reason_claim.filed_by"]),
        CheckConstraint("decided_by <> filed_by", name="by_another_account"),
    )

    claim_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    accepted: Mapped[bool]
    opinion: Mapped[str]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    at: Mapped[datetime]


class OutageRecord(Base):
    """An outage of the service or of a site's network that affects all students below `org_path` (reading 8).

    `declarer_path` is the unit that declared it. An outage declared without an end counts until its end is recorded,
    but never beyond `lapses_at`; a longer outage must be declared again.
    """

    __tablename__ = "outage"
    __tenancy__ = "open"
    __table_args__ = (
        CheckConstraint(
            "(ends_at IS NULL OR (starts_at < ends_at AND ends_at <= lapses_at)) AND starts_at <= declared_at",
            name="interval",
        ),
        UniqueConstraint("id", "declared_by"),
        Index("ix_outage_org_path", "org_path"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    org_path: Mapped[str]
    declarer_path: Mapped[str]
    what: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    lapses_at: Mapped[datetime]
    declared_by: Mapped[UUID]
    declared_at: Mapped[datetime]


class OutageEnded(Base):
    """The recorded end of an outage that was declared without one."""

    __tablename__ = "outage_ended"
    __tenancy__ = "open"

    outage_id: Mapped[UUID] = mapped_column(ForeignKey("outage.id"), primary_key=True)
    org_path: Mapped[str]
    ends_at: Mapped[datetime]
    recorded_by: Mapped[UUID]
    recorded_at: Mapped[datetime]


class OutageDecision(Base):
    """A superior's approval or refusal of an outage, made once and never by the person who declared it."""

    __tablename__ = "outage_decision"
    __tenancy__ = "open"
    __table_args__ = (
        ForeignKeyConstraint(["outage_id", "declared_by"], ["outage.id", "outage.declared_by"]),
        CheckConstraint("decided_by <> declared_by", name="by_another_account"),
    )

    outage_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_path: Mapped[str]
    approved: Mapped[bool]
    opinion: Mapped[str]
    declared_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    at: Mapped[datetime]


class AttendanceEntry(Base):
    """A counselor's or registrar's record that a student was absent or present at an instant (reading 5).

    A mistaken absence is corrected by a record of presence at the same instant.
    """

    __tablename__ = "attendance_entry"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("at <= recorded_at", name="past"),
        UniqueConstraint("student_id", "at", "present"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    present: Mapped[bool]
    at: Mapped[datetime]
    note: Mapped[str | None]
    recorded_by: Mapped[UUID]
    recorded_at: Mapped[datetime]


class ChangeReversed(Base):
    """The authority reversed an automatic execution in one step (reading 12)."""

    __tablename__ = "change_reversed"
    __tenancy__ = "student"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    change_id: Mapped[UUID] = mapped_column(ForeignKey("standing_entry.id"), unique=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    reasons: Mapped[str]
    reversed_by: Mapped[UUID]
    at: Mapped[datetime]


class ChangeRequest(Base):
    """A request to change the record without a prompt (HN334-4.1c). `chain` is fixed when the request is filed.

    `chain` lists the levels that must agree, lowest first: `[{"level": "school", "org_id": …}, …]`.
    """

    __tablename__ = "change_request"
    __tenancy__ = "student"
    __table_args__ = (
        UniqueConstraint("id", "filed_by"),
        Index("ix_change_request_student", "student_id"),
        Index("ix_change_request_school", "school_id", "filed_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    item: Mapped[str]
    change_kind: Mapped[str]
    standing: Mapped[str | None]
    study_form: Mapped[str | None]
    reasons: Mapped[str]
    chain: Mapped[list[Any]]
    locked: Mapped[bool]
    policy_version: Mapped[str]
    filed_by: Mapped[UUID]
    filed_at: Mapped[datetime]


class ChangeRequestStep(Base):
    """One level's opinion on a change request, never by the person who filed it (invariant 9)."""

    __tablename__ = "change_request_step"
    __tenancy__ = "student"
    __table_args__ = (
        ForeignKeyConstraint(["request_id", "filed_by"], ["change_request.id", "change_request.filed_by"]),
        CheckConstraint("outcome IN ('agreed', 'refused', 'withdrawn')", name="outcome"),
        CheckConstraint("outcome = 'withdrawn' OR decided_by <> filed_by", name="by_another_account"),
    )

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    level: Mapped[str]
    org_id: Mapped[UUID]
    outcome: Mapped[str]
    opinion: Mapped[str]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    at: Mapped[datetime]


class ProvinceApproved(Base):
    """The province agreed to a request, which unlocks one change (HN334-4.1c)."""

    __tablename__ = "province_approved"
    __tenancy__ = "student"

    request_id: Mapped[UUID] = mapped_column(ForeignKey("change_request.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    at: Mapped[datetime]


class StandingEdit(Base):
    """A change of the record without a prompt, when it took effect, with the approval it used."""

    __tablename__ = "standing_edit"
    __tenancy__ = "student"
    __table_args__ = (UniqueConstraint("approval_id"), Index("ix_standing_edit_student", "student_id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    item: Mapped[str]
    standing: Mapped[str | None]
    study_form: Mapped[str | None]
    request_id: Mapped[UUID | None] = mapped_column(ForeignKey("change_request.id"))
    approval_id: Mapped[UUID | None] = mapped_column(ForeignKey("province_approved.request_id"))
    acting_account: Mapped[UUID | None]
    at: Mapped[datetime]


class AppealFiled(Base):
    """An appeal, as far as standing depends on it (HN334-4.2). The package `appeal` manages the case itself."""

    __tablename__ = "appeal_filed"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("appellant IN ('student', 'school')", name="appellant"),
        CheckConstraint("guardian_link_id IS NULL OR appellant = 'student'", name="guardian_link"),
        Index(
            "ix_appeal_filed_guardian_link",
            "guardian_link_id",
            postgresql_where=text("guardian_link_id IS NOT NULL"),
        ),
        CheckConstraint("target IN ('check', 'change', 'gaokao')", name="target"),
        UniqueConstraint("previous"),
        UniqueConstraint("id", "filed_by"),
        Index(
            "uq_appeal_filed_matter",
            "student_id",
            "appellant",
            "target",
            "target_id",
            unique=True,
            postgresql_where=text("previous IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    appellant: Mapped[str]
    target: Mapped[str]
    target_id: Mapped[str]
    previous: Mapped[UUID | None] = mapped_column(ForeignKey("appeal_filed.id"))
    filed_by: Mapped[UUID]
    guardian_link_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian_link.id"))
    """The link of the guardian who filed it for the student; `filed_by` is then the guardian's id on the roster."""
    filed_at: Mapped[datetime]


class AppealDecided(Base):
    """The decision on an appeal, never by the person who filed it. `finding` is the new result of an overturned check."""

    __tablename__ = "appeal_decided"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("finding IN ('present', 'excused')", name="finding"),
        CheckConstraint("decided_by <> filed_by", name="by_another_account"),
    )

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_filed.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    upheld: Mapped[bool]
    finding: Mapped[str]
    reasons: Mapped[str]
    filed_by: Mapped[UUID]
    decided_by: Mapped[UUID]
    at: Mapped[datetime]


class AppealWithdrawn(Base):
    """An appeal ended undecided: its appellant withdrew it, or the change under appeal was reversed (no account)."""

    __tablename__ = "appeal_withdrawn"
    __tenancy__ = "student"

    appeal_id: Mapped[UUID] = mapped_column(ForeignKey("appeal_filed.id"), primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    reason: Mapped[str | None]
    withdrawn_by: Mapped[UUID | None]
    at: Mapped[datetime]
