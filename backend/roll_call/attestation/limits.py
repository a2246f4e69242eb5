"""Quotas of attestations, and the random sample that is reviewed. Looks of a school count as attestations."""

import hashlib
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.keys import KeyRing
from backend.roll_call import rules
from backend.roll_call.errors import AttestationQuotaExhausted, AttesterQuotaExhausted
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.tables import Attestation, LookAnswer, Obligation, RollCall, RollCallClass


async def lock_class_quota(session: AsyncSession, roll_call: RollCall, class_id: UUID) -> None:
    """Serialise what uses up the quota of a class. Taken before the lock of an obligation."""
    key = func.hashtextextended(f"attest/{roll_call.id}/{class_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def find_class_quota_objection(
    session: AsyncSession, roll_call: RollCall, obligation: Obligation
) -> AttestationQuotaExhausted | None:
    """Return the error if the class has no attestations left in this roll call. The caller holds `lock_class_quota`."""
    quota = (await load_class_quotas(session, roll_call, [obligation.class_id]))[obligation.class_id]
    used = await _count(
        session,
        roll_call,
        Attestation.class_id == obligation.class_id,
        LookAnswer.class_id == obligation.class_id,
    )
    return AttestationQuotaExhausted(quota=quota) if used >= quota else None


async def require_attester_quota(session: AsyncSession, actor: Actor, roll_call: RollCall) -> None:
    """Raise `AttesterQuotaExhausted` unless the attester has attestations left. The caller holds the attester's lock."""
    limit = roll_call_policy(roll_call).integer("attestation.attester_quota")
    used = await _count(
        session,
        roll_call,
        Attestation.attested_by == actor.account_id,
        LookAnswer.answered_by == actor.account_id,
    )
    if used >= limit:
        raise AttesterQuotaExhausted(quota=limit)


async def lock_attester(session: AsyncSession, actor: Actor) -> None:
    """Serialise what uses up the quota of an attester. Taken before every other lock."""
    key = func.hashtextextended(f"card-codes/{actor.account_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def load_class_quotas(
    session: AsyncSession, roll_call: RollCall, class_ids: Collection[UUID]
) -> dict[UUID, int]:
    """Return how many students of each class may be attested in a roll call."""
    policy = roll_call_policy(roll_call)
    share, minimum = policy.ratio("attestation.quota_share"), policy.integer("attestation.quota_minimum")
    rows = await session.execute(
        select(RollCallClass.class_id, RollCallClass.owed).where(
            RollCallClass.term_code == roll_call.term_code,
            RollCallClass.roll_call_id == roll_call.id,
            RollCallClass.class_id.in_(class_ids),
        )
    )
    return {class_id: rules.compute_attestation_quota(owed, share, minimum) for class_id, owed in rows}


async def _count(
    session: AsyncSession,
    roll_call: RollCall,
    attested: ColumnElement[bool],
    looked_at: ColumnElement[bool],
) -> int:
    attestations = select(func.count()).where(
        Attestation.term_code == roll_call.term_code, Attestation.roll_call_id == roll_call.id, attested
    )
    looks = select(func.count()).where(
        LookAnswer.term_code == roll_call.term_code,
        LookAnswer.roll_call_id == roll_call.id,
        LookAnswer.counted,
        looked_at,
    )
    both = select(attestations.scalar_subquery() + looks.scalar_subquery())
    return await session.scalar(both) or 0


def is_sampled(roll_call: RollCall, student_id: UUID, keys: KeyRing) -> bool:
    """Whether the presence needs a review: a keyed hash decides, which staff can neither choose nor predict."""
    digest = hashlib.sha256(keys.secret("blind-index") + f"{roll_call.id}/{student_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < roll_call_policy(roll_call).ratio(
        "attestation.review_share"
    )
