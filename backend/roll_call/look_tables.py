"""Tables of looks: a person compares pictures of a check-in with the ID portrait. Rows are only inserted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.database import Base
from backend.roll_call.partitioning import (
    PARTITION_BY_TERM,
    mapper_key,
    roll_call_foreign_key,
    submission_foreign_key,
)


def _request_foreign_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["request_id", "school_id", "term_code"],
        ["look_request.id", "look_request.school_id", "look_request.term_code"],
    )


class LookRequest(Base):
    """A check-in whose face a person compares with the ID portrait until `expires_at`.

    `side` is `school` (counselor or registrar) or `launcher` (the launching authority or one above it). `frames` holds
    the positions of the pictures that may be shown. `reviews` is the answered request that this one reviews.
    """

    __tablename__ = "look_request"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("id")
    __table_args__ = (
        roll_call_foreign_key(),
        submission_foreign_key(),
        CheckConstraint("side IN ('school', 'launcher')", name="side"),
        CheckConstraint("jsonb_array_length(frames) BETWEEN 1 AND 2", name="frames"),
        UniqueConstraint(
            "submission_id",
            "side",
            "reviews",
            "school_id",
            "term_code",
            name="uq_look_request_once",
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_look_request_student", "roll_call_id", "student_id"),
        Index("ix_look_request_expires_at", "expires_at", "id"),
        PARTITION_BY_TERM,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    class_id: Mapped[UUID]
    student_id: Mapped[UUID]
    submission_id: Mapped[UUID]
    portrait_id: Mapped[UUID]
    side: Mapped[str]
    reason: Mapped[str]
    frames: Mapped[list[Any]]
    reviews: Mapped[UUID | None]
    at: Mapped[datetime]
    expires_at: Mapped[datetime]

    @property
    def shown_frames(self) -> list[int]:
        """The pictures that the answering person sees: one for the school, two where the launching side decides."""
        return [int(each) for each in (self.frames[:1] if self.side == "school" else self.frames)]


class LookAnswer(Base):
    """The one answer to a request: whether picture and portrait show the same person.

    `counted` answers are those of a school that made a student present: they use up quotas like attestations. `sampled`
    ones are reviewed by the launching side.
    """

    __tablename__ = "look_answer"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("request_id")
    __table_args__ = (
        _request_foreign_key(),
        CheckConstraint("same IN ('yes', 'no', 'unsure')", name="same"),
        CheckConstraint("counted OR NOT sampled", name="sampled"),
        Index("ix_look_answer_roll_call", "roll_call_id", "class_id"),
        PARTITION_BY_TERM,
    )

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    class_id: Mapped[UUID]
    student_id: Mapped[UUID]
    same: Mapped[str]
    note: Mapped[str]
    answered_by: Mapped[UUID]
    counted: Mapped[bool]
    sampled: Mapped[bool]
    at: Mapped[datetime]


class LookClosing(Base):
    """Why a request ended without an answer."""

    __tablename__ = "look_closing"
    __tenancy__ = "student"
    __mapper_args__ = mapper_key("request_id")
    __table_args__ = (
        _request_foreign_key(),
        CheckConstraint("reason IN ('expired', 'not_needed', 'consent_revoked', 'quota')", name="reason"),
        PARTITION_BY_TERM,
    )

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    roll_call_id: Mapped[UUID]
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_code: Mapped[str] = mapped_column(primary_key=True)
    student_id: Mapped[UUID]
    reason: Mapped[str]
    at: Mapped[datetime]


class LookNotice(Base):
    """What a staff account was told once about the looks of a roll call.

    They wait for it (`waiting`), they expire (`expiring`), or their review was not done in time (`review_overdue`).
    """

    __tablename__ = "look_notice"
    __tenancy__ = "org"
    __table_args__ = (CheckConstraint("kind IN ('waiting', 'expiring', 'review_overdue')", name="kind"),)

    roll_call_id: Mapped[UUID] = mapped_column(ForeignKey("roll_call.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_path: Mapped[str]
    at: Mapped[datetime]
