"""What a roll call is made of. Almost everything here is written once: what happens later is another row."""

from datetime import datetime
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
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column

from backend.core.database import Base


class RollCallExtension(Base):
    """The window was lengthened by what the service was away for (reading 8); it only ever gives more time."""

    __tablename__ = "roll_call_extension"
    __tenancy__ = "roll_call"
    __table_args__ = (CheckConstraint("lost_seconds > 0", name="lost_seconds"),)

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    until: Mapped[datetime] = mapped_column(primary_key=True)
    lost_seconds: Mapped[int]
    at: Mapped[datetime]


class RollCall(Base):
    """One launch, frozen: nothing after the launch alters this row (invariant 10)."""

    __tablename__ = "roll_call"
    __tenancy__ = "roll_call"
    __table_args__ = (
        CheckConstraint("kind IN ('spot_check', 'registration', 'rehearsal', 'school_own')", name="kind"),
        CheckConstraint("notify_at <= opens_at AND opens_at < closes_at", name="window"),
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
        """When it really closes: as launched, or as extended last (reading 8)."""
        return self.extended_until or self.closes_at

    @property
    def frames_deadline(self) -> datetime:
        """Until when the frames of the last envelopes may come."""
        return self.deadline + (self.frames_until - self.closes_at)


class RollCallStep(Base):
    """Something that happened to a roll call once: announced, settled, voided."""

    __tablename__ = "roll_call_step"
    __tenancy__ = "roll_call"
    __table_args__ = (CheckConstraint("step IN ('announced', 'settled', 'voided')", name="step"),)

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    acting_account: Mapped[UUID | None]
    reason: Mapped[str | None]
    figures: Mapped[dict[str, Any] | None]
    at: Mapped[datetime]


class RollCallClass(Base):
    """How many of a class are in the audience, frozen at launch: the denominators of every progress figure."""

    __tablename__ = "roll_call_class"
    __tenancy__ = "shared_school"

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    class_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    owed: Mapped[int]
    excused: Mapped[int]
    exempt: Mapped[int]


class RollCallSite(Base):
    """A fence frozen at launch: one approved version of a filed site of the school."""

    __tablename__ = "roll_call_site"
    __tenancy__ = "shared_school"
    __table_args__ = (Index("ix_roll_call_site_school", "roll_call_id", "school_id"),)

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    site_version_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]


class Obligation(Base):
    """One person of the audience, frozen at launch.

    `duty` is `owed` (must prove presence), `excused` (owed, but on approved leave) or `exempt` (not asked:
    part-time, suspended, …), with its reason. Obligations, in every sum, are the owed and the excused.
    """

    __tablename__ = "obligation"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("duty IN ('owed', 'excused', 'exempt')", name="duty"),
        CheckConstraint("(duty = 'owed') = (reason IS NULL)", name="reason"),
        Index("ix_obligation_student", "student_id", "roll_call_id"),
        Index("ix_obligation_class", "roll_call_id", "class_id"),
    )

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    school_id: Mapped[UUID]
    class_id: Mapped[UUID]
    duty: Mapped[str]
    reason: Mapped[str | None]
    standing: Mapped[str]
    study_form: Mapped[str]
    programme: Mapped[str]


class Challenge(Base):
    """A nonce for one student, one roll call and one device key, and what the student is asked to do.

    `actions` are those that the server drew, in their order; `cannot` those that the student had said by then to be
    unable to do; both hold codes of `biometrics.actions.Action`. `flash` is the colours that the screen may show meanwhile.
    """

    __tablename__ = "challenge"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("jsonb_array_length(actions) > 0", name="actions"),
        Index("ix_challenge_student", "student_id", "roll_call_id", "expires_at"),
    )

    nonce: Mapped[str] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    key_thumbprint: Mapped[str]
    actions: Mapped[list[Any]]
    cannot: Mapped[list[Any]]
    flash: Mapped[list[Any]]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Submission(Base):
    """An envelope that was accepted in time and is durable: one attempt of one student.

    The nonce is unique, so an envelope takes effect once (invariant 12) and a retry finds this row.
    """

    __tablename__ = "submission"
    __tenancy__ = "student"
    __table_args__ = (
        UniqueConstraint("nonce"),
        Index("ix_submission_student", "student_id", "roll_call_id"),
        Index("ix_submission_roll_call", "roll_call_id", "received_at"),
        Index("ix_submission_frames_kept", "received_at", postgresql_where=text("frames_gone_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    nonce: Mapped[str] = mapped_column(ForeignKey("challenge.nonce"))
    key_thumbprint: Mapped[str]
    in_cool_down: Mapped[bool]
    envelope: Mapped[str]
    envelope_digest: Mapped[bytes]
    frame_count: Mapped[int] = mapped_column(SmallInteger)
    receipt: Mapped[str]
    received_at: Mapped[datetime]
    frames_due_at: Mapped[datetime]
    frames_gone_at: Mapped[datetime | None]
    """When retention deleted the pictures; the rows of the frames keep their hashes."""

    def frame_key(self, position: int) -> str:
        """Where the evidence store keeps a frame."""
        return f"frames/{self.roll_call_id}/{self.id}/{position}"


class SubmissionFrame(Base):
    """One picture of a burst, stored and found equal to its declared hash."""

    __tablename__ = "submission_frame"
    __tenancy__ = "student"
    __table_args__ = (
        Index("ix_submission_frame_sha256", "sha256"),
        Index("ix_submission_frame_as_sent", "received_at", postgresql_where=text("kept_sha256 IS NULL")),
    )

    submission_id: Mapped[UUID] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    sha256: Mapped[bytes]
    size: Mapped[int]
    evidence_key: Mapped[str]
    received_at: Mapped[datetime]
    kept_sha256: Mapped[bytes | None]
    """Of the copy that was drawn anew after the verdict; null while the file is as sent, empty if none could be drawn
    and nothing is kept."""


class Verdict(Base):
    """What verification found about one submission, with its trace; written once."""

    __tablename__ = "verdict"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("finding IN ('accepted', 'step_up', 'rejected', 'undetermined')", name="finding"),
        Index("ix_verdict_student", "student_id", "roll_call_id"),
    )

    submission_id: Mapped[UUID] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    finding: Mapped[str]
    reasons: Mapped[list[Any]]
    engine: Mapped[str | None]
    trace: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class VerificationTask(Base):
    """A submission that verification still owes an answer; the row goes in the transaction that writes the verdict.

    `waiting` from `not_before` on; `leased` to a `worker` until `lease_until`; `dead` after too many attempts, until
    somebody retries it. Each lease has a `fence` of its own, higher than any before: who records under it must hold it.
    """

    __tablename__ = "verification_task"
    __tenancy__ = "school"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'leased', 'dead')", name="state"),
        CheckConstraint("(state = 'leased') = (lease_until IS NOT NULL)", name="lease"),
        CheckConstraint("(state = 'dead') = (died_at IS NOT NULL)", name="death"),
        Index("ix_verification_task_waiting", "not_before", postgresql_where=text("state = 'waiting'")),
        Index(
            "ix_verification_task_of_school",
            "school_id",
            "not_before",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_verification_task_leased", "lease_until", postgresql_where=text("state = 'leased'")),
        Index(
            "ix_verification_task_dead", "died_at", "submission_id", postgresql_where=text("state = 'dead'")
        ),
    )

    submission_id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(SmallInteger)
    enqueued_at: Mapped[datetime]
    not_before: Mapped[datetime]
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[str | None]
    died_at: Mapped[datetime | None]


class VerificationPace(Base):
    """How many submissions a worker judged in ten seconds from `since` on, and how long it was at it."""

    __tablename__ = "verification_pace"
    __tenancy__ = "ledger"

    worker: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    judged: Mapped[int]
    busy_seconds: Mapped[float]


class Refusal(Base):
    """An attempt that was refused on the spot: kept, with its code, for the student and for audits."""

    __tablename__ = "refusal"
    __tenancy__ = "student"
    __table_args__ = (Index("ix_refusal_student", "student_id", "roll_call_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"))
    school_id: Mapped[UUID]
    student_id: Mapped[UUID]
    step: Mapped[str]
    code: Mapped[str]
    detail: Mapped[dict[str, Any]]
    envelope_digest: Mapped[bytes | None]
    at: Mapped[datetime]


class OutcomeEntry(Base):
    """The legal result of one obligation. The highest `seq` is in effect; nothing is overwritten (invariant 3, 8)."""

    __tablename__ = "outcome_entry"
    __tenancy__ = "student"
    __table_args__ = (
        CheckConstraint("outcome IN ('present', 'missed', 'excused', 'undetermined')", name="outcome"),
        CheckConstraint("seq >= 1", name="seq"),
        Index("ix_outcome_entry_student", "student_id", "roll_call_id"),
        Index("ix_outcome_entry_class", "roll_call_id", "class_id"),
        Index(
            "ix_outcome_entry_missed",
            "school_id",
            "student_id",
            postgresql_where=text("outcome = 'missed'"),
        ),
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    class_id: Mapped[UUID]
    outcome: Mapped[str]
    reason: Mapped[str]
    method: Mapped[str]
    submission_id: Mapped[UUID | None] = mapped_column(ForeignKey("submission.id"))
    acting_account: Mapped[UUID | None]
    policy_version: Mapped[str]
    trace: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class OutcomeCount(Base):
    """How many outcomes of a class are in effect, by kind; the database keeps it, the application only reads."""

    __tablename__ = "outcome_count"
    __tenancy__ = "shared_school"

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    class_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    present: Mapped[int]
    missed: Mapped[int]
    excused: Mapped[int]
    undetermined: Mapped[int]


class OutcomeDelta(Base):
    """What one statement added to, or took from, the outcomes of a class, until it is folded into `outcome_count`."""

    __tablename__ = "outcome_delta"
    __tenancy__ = "shared_school"
    __table_args__ = (Index("ix_outcome_delta_roll_call", "roll_call_id", "class_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    roll_call_id: Mapped[UUID]
    class_id: Mapped[UUID]
    school_id: Mapped[UUID]
    present: Mapped[int]
    missed: Mapped[int]
    excused: Mapped[int]
    undetermined: Mapped[int]


class StudentCode(Base):
    """The code on a student's card for the non-face route; only its hash is kept, the newest counts."""

    __tablename__ = "student_code"
    __tenancy__ = "school"
    __table_args__ = (Index("ix_student_code_student", "student_id", "issued_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"))
    code_hash: Mapped[bytes]
    issued_by: Mapped[UUID]
    issued_at: Mapped[datetime]


class Attestation(Base):
    """A counselor saw the student on the filed site and entered the code of the student's card."""

    __tablename__ = "attestation"
    __tenancy__ = "student"

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    class_id: Mapped[UUID]
    site_version_id: Mapped[UUID]
    reason: Mapped[str]
    attested_by: Mapped[UUID]
    sampled: Mapped[bool]
    at: Mapped[datetime]


class AttestationReview(Base):
    """A second person looked at a sampled attestation; never the one who attested."""

    __tablename__ = "attestation_review"
    __tenancy__ = "student"
    __table_args__ = (CheckConstraint("reviewed_by <> attested_by", name="second_person"),)

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    student_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID]
    attested_by: Mapped[UUID]
    reviewed_by: Mapped[UUID]
    upheld: Mapped[bool]
    note: Mapped[str]
    at: Mapped[datetime]


class Urge(Base):
    """Staff reminded those who had not yet proven presence (HN334-3.4)."""

    __tablename__ = "urge"
    __tenancy__ = "school"
    __table_args__ = (Index("ix_urge_roll_call", "roll_call_id", "school_id", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"))
    school_id: Mapped[UUID]
    class_id: Mapped[UUID | None]
    urged_by: Mapped[UUID]
    students: Mapped[int]
    at: Mapped[datetime]


class HalfYearRegistration(Base):
    """A part-time student's registration; two a year and no third (HN334-2.2)."""

    __tablename__ = "half_year_registration"
    __tenancy__ = "student"

    student_id: Mapped[UUID] = mapped_column(ForeignKey("student.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID]
    at: Mapped[datetime]
