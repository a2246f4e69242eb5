"""Tables of check-in and verification: challenges, submissions, frames, verdicts, refusals and the verification queue.

Rows are only inserted, except in the queue, and where retention deletes pictures and envelopes.
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
from backend.identity.pictures.refs import PictureKind, PictureRef
from backend.roll_call.partitioning import (
    PARTITION_BY_TERM,
    mapper_key,
    roll_call_foreign_key,
    submission_foreign_key,
)


class Challenge(Base):
    """A nonce for one student, one roll call and one device key, and the actions that the student must do.

    `actions` holds the drawn actions in order, `cannot` the actions that the student had reported as impossible; both
    hold codes of `biometrics.liveness.actions.Action`. `flash` holds the colours that the screen may show meanwhile,
    `cues_ms` the instant of the burst at which to show each action.
    """

    __tablename__ = "challenge"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("nonce")
    __table_args__ = (
        roll_call_foreign_key(),
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
    cues_ms: Mapped[list[Any]]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Submission(Base):
    """An envelope that was accepted in time: one attempt of one student.

    The nonce is unique, so an envelope takes effect once (invariant 12) and a retry finds this row.
    """

    __tablename__ = "submission"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("id")
    __table_args__ = (
        roll_call_foreign_key(),
        ForeignKeyConstraint(
            ["nonce", "school_id", "term_code"],
            ["challenge.nonce", "challenge.school_id", "challenge.term_code"],
        ),
        UniqueConstraint("nonce", "school_id", "term_code"),
        Index("ix_submission_student", "roll_call_id", "student_id", "received_at"),
        Index("ix_submission_frames_kept", "received_at", postgresql_where=text("frames_deleted_at IS NULL")),
        Index(
            "ix_submission_envelope_kept",
            "received_at",
            postgresql_where=text("frames_deleted_at IS NOT NULL AND envelope_deleted_at IS NULL"),
        ),
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
    frames_deleted_at: Mapped[datetime | None]
    """When retention deleted the pictures; the frame rows keep their hashes."""
    envelope_deleted_at: Mapped[datetime | None]
    """When retention emptied the envelope with the positions; digest, receipt and verdict stay."""

    def frame(self, position: int) -> PictureRef:
        """Return the reference of a frame."""
        return PictureRef(PictureKind.FRAME, self.school_id, self.student_id, self.id, position)


class SubmissionFrame(Base):
    """One stored picture of a burst; its bytes match the hash declared in the envelope."""

    __tablename__ = "submission_frame"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("submission_id", "position")
    __table_args__ = (
        submission_foreign_key(),
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
    """Hash of the picture as the phone signed it, not of the sealed file."""
    size: Mapped[int]
    evidence_key: Mapped[str]
    """The name of the sealed file. It follows from the primary key and the student's picture key, so it is unique."""
    received_at: Mapped[datetime]
    kept_sha256: Mapped[bytes | None]
    """Hash of the copy that was re-encoded after the verdict. Null while the file is as sent; empty if it could not be
    re-encoded and no copy is kept."""

    @property
    def picture(self) -> PictureRef:
        """The reference of the picture."""
        return PictureRef(
            PictureKind.FRAME, self.school_id, self.student_id, self.submission_id, self.position
        )


class VerdictRecord(Base):
    """The verdict of verification about one submission, with its trace; written once."""

    __tablename__ = "verdict"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("submission_id")
    __table_args__ = (
        roll_call_foreign_key(),
        submission_foreign_key(),
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
    """An attempt that was refused immediately, with its code; kept for the student and for audits."""

    __tablename__ = "refusal"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("id")
    __table_args__ = (
        roll_call_foreign_key(),
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


class CheckInCell(Base):
    """How many students of a school had an accepted check-in of a roll call in a cell of 50 m (`geo.cells`).

    A student counts at most once in a roll call. The row names no student and no time. It is deleted with the term.
    """

    __tablename__ = "check_in_cell"
    __tenancy__ = "school"
    __table_args__ = (
        roll_call_foreign_key(),
        CheckConstraint("students > 0", name="students"),
        Index("ix_check_in_cell_school", "school_id", "term_code", "cell_row"),
    )

    roll_call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    cell_row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cell_column: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    term_code: Mapped[str]
    students: Mapped[int]


class VerificationTask(Base):
    """A submission in the verification queue; the row is deleted in the transaction that writes the verdict.

    `waiting`: available from `not_before` on. `leased`: a `worker` holds it until `lease_until`. `dead`: given up after
    too many attempts until staff retry it. Each lease has its own `fence` number, higher than all before it; a worker
    may record a verdict only while its fence is current.
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
    """How many submissions a worker verified in the ten seconds from `since` on, and how many seconds it was busy."""

    __tablename__ = "verification_throughput"
    __tenancy__ = "ledger"

    worker: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    judged: Mapped[int]
    busy_seconds: Mapped[float]
