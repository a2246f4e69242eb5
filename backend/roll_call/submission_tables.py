"""What a student tries in a roll call, what was found, and the queue in between. But for the queue and the pictures, rows
are added and never altered.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base
from backend.roll_call.partitioning import PARTITION_BY_TERM, mapper_key, of_roll_call, of_submission


class Challenge(Base):
    """A nonce for one student, one roll call and one device key, and what the student is asked to do.

    `actions` are those that the server drew, in their order; `cannot` those that the student had said by then to be
    unable to do; both hold codes of `biometrics.liveness.actions.Action`. `flash` is the colours that the screen may show meanwhile.
    """

    __tablename__ = "challenge"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("nonce")
    __table_args__ = (
        of_roll_call(),
        CheckConstraint("jsonb_array_length(actions) > 0", name="actions"),
        Index("ix_challenge_student", "roll_call_id", "student_id", "expires_at"),
        PARTITION_BY_TERM,
    )

    nonce: Mapped[str] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
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
    __mapper_args__ = mapper_key("id")
    __table_args__ = (
        of_roll_call(),
        ForeignKeyConstraint(
            ["nonce", "school_id", "term_code"],
            ["challenge.nonce", "challenge.school_id", "challenge.term_code"],
        ),
        UniqueConstraint("nonce", "school_id", "term_code"),
        Index("ix_submission_student", "roll_call_id", "student_id", "received_at"),
        Index("ix_submission_frames_kept", "received_at", postgresql_where=text("frames_gone_at IS NULL")),
        PARTITION_BY_TERM,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    student_id: Mapped[UUID]
    nonce: Mapped[str]
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
    __mapper_args__ = mapper_key("submission_id", "position")
    __table_args__ = (
        of_submission(),
        Index("ix_submission_frame_sha256", "sha256"),
        Index("ix_submission_frame_as_sent", "received_at", postgresql_where=text("kept_sha256 IS NULL")),
        PARTITION_BY_TERM,
    )

    submission_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
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
    __mapper_args__ = mapper_key("submission_id")
    __table_args__ = (
        of_roll_call(),
        of_submission(),
        CheckConstraint("finding IN ('accepted', 'step_up', 'rejected', 'undetermined')", name="finding"),
        Index("ix_verdict_student", "roll_call_id", "student_id"),
        PARTITION_BY_TERM,
    )

    submission_id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    student_id: Mapped[UUID]
    finding: Mapped[str]
    reasons: Mapped[list[Any]]
    engine: Mapped[str | None]
    trace: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class Refusal(Base):
    """An attempt that was refused on the spot: kept, with its code, for the student and for audits."""

    __tablename__ = "refusal"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("id")
    __table_args__ = (
        of_roll_call(),
        Index("ix_refusal_student", "roll_call_id", "student_id", "at"),
        PARTITION_BY_TERM,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    student_id: Mapped[UUID]
    step: Mapped[str]
    code: Mapped[str]
    detail: Mapped[dict[str, Any]]
    envelope_digest: Mapped[bytes | None]
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


class VerificationThroughput(Base):
    """How many submissions a worker judged in ten seconds from `since` on, and how long it was at it."""

    __tablename__ = "verification_throughput"
    __tenancy__ = "ledger"

    worker: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    judged: Mapped[int]
    busy_seconds: Mapped[float]
