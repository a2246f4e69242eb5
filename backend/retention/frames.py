"""Retention of check-in frames: until the result is final, and at the latest until no appeal is possible."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.consents import revoked_face_consent_since, select_revokers
from backend.identity.pictures.refs import PictureRef
from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind
from backend.retention.final_results import (
    final_at,
    is_outcome_in_effect,
    is_without_consequence,
    was_final,
)
from backend.retention.legal_holds import has_open_case
from backend.roll_call.looks.conditions import is_unanswered
from backend.roll_call.tables import LookRequest, OutcomeEntry, RollCall, Submission, SubmissionFrame

NO_COPY = b""
"""The hash of a frame whose copy is not kept."""


async def find_expired_frames(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Check-ins whose frames are no longer needed.

    Frames are kept while the outcome is missing or undetermined, while the student has an open case (`has_open_case`),
    or while a person looks at one (`LookRequest`). Otherwise the period starts at the close of the roll call, or at a
    later outcome. It is short for students who were present, and long enough for an appeal for the others. It ends at
    once if a student who was present revoked a consent about the face since. An undetermined rehearsal counts as present,
    because nothing follows from it.
    """
    size = select(func.sum(SubmissionFrame.size)).where(SubmissionFrame.submission_id == Submission.id)
    files = select(func.count()).where(SubmissionFrame.submission_id == Submission.id)
    names = select(func.array_agg(SubmissionFrame.evidence_key)).where(
        SubmissionFrame.submission_id == Submission.id
    )
    rows = await session.execute(
        select(Submission, files.scalar_subquery(), size.scalar_subquery(), names.scalar_subquery())
        .join(RollCall, RollCall.id == Submission.roll_call_id)
        .join(OutcomeEntry, is_outcome_in_effect(Submission))
        .where(_is_due(policy, at), ~_has_open_look(at).exists())
        .order_by(Submission.received_at)
        .limit(limit)
    )
    return [
        Expired(
            row.id,
            row.received_at,
            keys=tuple(stored_names or ()),
            pictures=_declared_frames(row),
            files=stored,
            size_bytes=size_bytes,
        )
        for row, stored, size_bytes, stored_names in rows
    ]


def _is_due(policy: PolicyAt, at: datetime) -> ColumnElement[bool]:
    """Whether the period of a submission's frames is over, apart from open looks."""
    accepted = at - policy.duration("retention.frames_accepted")
    others = at - policy.duration("retention.frames")
    revoked = and_(
        is_without_consequence(),
        final_at() <= at,
        Submission.student_id.in_(select_revokers(since=min(accepted, others))),
        revoked_face_consent_since(Submission.student_id.expression, Submission.received_at.expression),
    )
    return and_(
        Submission.frames_deleted_at.is_(None),
        or_(
            and_(
                Submission.received_at <= max(accepted, others), was_final(accepted=accepted, others=others)
            ),
            revoked,
        ),
        ~has_open_case(Submission.student_id.expression, policy, at),
    )


def _has_open_look(at: datetime) -> Select[int]:
    """The open looks at pictures of a submission."""
    return select(literal(1)).where(
        LookRequest.term_code == Submission.term_code,
        LookRequest.submission_id == Submission.id,
        LookRequest.expires_at > at,
        is_unanswered(),
    )


def _declared_frames(row: Submission) -> tuple[PictureRef, ...]:
    """All declared frames: an interrupted upload may have left a file without a row."""
    return tuple(row.frame(position) for position in range(row.frame_count))


async def mark_frames_deleted(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Record on the check-ins that their pictures were deleted."""
    marked = await session.scalars(
        update(Submission)
        .where(Submission.id.in_(ids), Submission.frames_deleted_at.is_(None))
        .values(frames_deleted_at=at)
        .returning(Submission.id)
    )
    return marked.all()


async def find_frames_not_looked_at(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Check-ins whose period is over while a person still looks at one of their pictures: the other pictures go."""
    rows = await session.execute(
        select(Submission, func.array_agg(SubmissionFrame.evidence_key), func.sum(SubmissionFrame.size))
        .join(RollCall, RollCall.id == Submission.roll_call_id)
        .join(OutcomeEntry, is_outcome_in_effect(Submission))
        .join(SubmissionFrame, SubmissionFrame.submission_id == Submission.id)
        .where(
            _is_due(policy, at),
            _has_open_look(at).exists(),
            SubmissionFrame.kept_sha256.is_distinct_from(NO_COPY),
            ~_has_open_look(at).where(_shows_frame()).correlate(Submission, SubmissionFrame).exists(),
        )
        .group_by(Submission.id, Submission.school_id, Submission.term_code)
        .order_by(Submission.received_at)
        .limit(limit)
    )
    return [
        Expired(row.id, row.received_at, tuple(keys), files=len(keys), size_bytes=size)
        for row, keys, size in rows
    ]


def _shows_frame() -> ColumnElement[bool]:
    return LookRequest.frames.op("@>")(func.to_jsonb(SubmissionFrame.position))


async def mark_frames_without_copy(
    session: AsyncSession, ids: Sequence[UUID], at: datetime
) -> Collection[UUID]:
    """Record on the other frames that no copy is kept."""
    marked = await session.scalars(
        update(SubmissionFrame)
        .where(
            SubmissionFrame.submission_id.in_(ids),
            SubmissionFrame.kept_sha256.is_distinct_from(NO_COPY),
            ~select(literal(1))
            .where(
                LookRequest.submission_id == SubmissionFrame.submission_id,
                LookRequest.expires_at > at,
                is_unanswered(),
                _shows_frame(),
            )
            .exists(),
        )
        .values(kept_sha256=NO_COPY)
        .returning(SubmissionFrame.submission_id)
    )
    return set(marked.all())


FRAMES = RetentionKind("frames", find_expired_frames, mark_frames_deleted)
FRAMES_NOT_LOOKED_AT = RetentionKind(
    "frames_not_looked_at", find_frames_not_looked_at, mark_frames_without_copy
)
