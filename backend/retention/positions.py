"""Retention of positions: signed envelopes of check-ins, and where attesters were.

Results, verdicts with their figures, digests and receipts stay. What a prompt, a claim or an appeal refers to is kept with
it, and so is what an open case of the student may need.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.policy import PolicyAt
from backend.retention.deletion import Expired, RetentionKind
from backend.retention.final_results import is_outcome_in_effect, was_final
from backend.retention.legal_holds import has_open_case, is_cited
from backend.roll_call.tables import Attestation, OutcomeEntry, RollCall, Submission

NO_ENVELOPE = ""
"""The envelope of a submission whose envelope was deleted."""


async def find_expired_envelopes(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Check-ins whose pictures were deleted, and whose envelopes are not needed any more either."""
    accepted = at - policy.duration("retention.envelopes_accepted")
    others = at - policy.duration("retention.envelopes")
    rows = await session.execute(
        select(Submission.id, Submission.received_at, func.octet_length(Submission.envelope))
        .join(RollCall, RollCall.id == Submission.roll_call_id)
        .join(OutcomeEntry, is_outcome_in_effect(Submission))
        .where(
            Submission.frames_deleted_at.is_not(None),
            Submission.envelope_deleted_at.is_(None),
            Submission.received_at <= max(accepted, others),
            was_final(accepted=accepted, others=others),
            ~has_open_case(Submission.student_id.expression, policy, at),
            ~is_cited(Submission.student_id.expression, Submission.roll_call_id.expression),
        )
        .order_by(Submission.received_at)
        .limit(limit)
    )
    return [Expired(id_, received_at, size_bytes=size) for id_, received_at, size in rows]


async def delete_envelopes(session: AsyncSession, ids: Sequence[UUID], at: datetime) -> Collection[UUID]:
    """Empty the envelopes, unless a case refers to them since they were found."""
    deleted = await session.scalars(
        update(Submission)
        .where(
            Submission.id.in_(ids),
            Submission.envelope_deleted_at.is_(None),
            ~is_cited(Submission.student_id.expression, Submission.roll_call_id.expression),
        )
        .values(envelope=NO_ENVELOPE, envelope_deleted_at=at)
        .returning(Submission.id)
    )
    return deleted.all()


async def find_expired_attester_positions(
    session: AsyncSession, policy: PolicyAt, at: datetime, limit: int
) -> Sequence[Expired]:
    """Attestations whose position is not needed any more."""
    before = at - policy.duration("retention.attester_positions")
    rows = await session.execute(
        select(Attestation.roll_call_id, Attestation.student_id, Attestation.at)
        .join(RollCall, RollCall.id == Attestation.roll_call_id)
        .join(OutcomeEntry, is_outcome_in_effect(Attestation))
        .where(
            Attestation.position_deleted_at.is_(None),
            Attestation.at <= before,
            was_final(accepted=before, others=before),
            ~has_open_case(Attestation.student_id.expression, policy, at),
            ~is_cited(Attestation.student_id.expression, Attestation.roll_call_id.expression),
        )
        .order_by(Attestation.at)
        .limit(limit)
    )
    return [
        Expired((roll_call_id, student_id), attested_at) for roll_call_id, student_id, attested_at in rows
    ]


async def delete_attester_positions(
    session: AsyncSession, keys: Sequence[tuple[UUID, UUID]], at: datetime
) -> Collection[tuple[UUID, UUID]]:
    """Empty the positions, unless a case refers to the attestation since they were found."""
    deleted = await session.execute(
        update(Attestation)
        .where(
            tuple_(Attestation.roll_call_id, Attestation.student_id).in_(keys),
            Attestation.position_deleted_at.is_(None),
            ~is_cited(Attestation.student_id.expression, Attestation.roll_call_id.expression),
        )
        .values(position={}, position_deleted_at=at)
        .returning(Attestation.roll_call_id, Attestation.student_id)
    )
    return {(row.roll_call_id, row.student_id) for row in deleted}


ENVELOPES = RetentionKind("envelopes", find_expired_envelopes, delete_envelopes)
ATTESTER_POSITIONS = RetentionKind(
    "attester_positions", find_expired_attester_positions, delete_attester_positions
)
