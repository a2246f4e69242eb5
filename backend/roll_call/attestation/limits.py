"""Quotas of attestations, and the random sample that is reviewed. Looks of a school count as attestations."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.keys import KeyRing
from backend.roll_call import rules
from backend.roll_call.access import select_counselor_classes
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
    if await _count_by_attester(session, actor, roll_call) >= limit:
        raise AttesterQuotaExhausted(quota=limit)


async def lock_attester(session: AsyncSession, actor: Actor) -> None:
    """Serialise what uses up the quota of an attester. Taken before every other lock."""
    key = func.hashtextextended(f"card-codes/{actor.account_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


@dataclass(frozen=True, slots=True)
class AttestationLimit:
    """How many students may be attested in a roll call, and how many were."""

    limit: int
    used: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class AttestationLimits:
    """The limit of a counselor (None for a registrar, who cannot attest) and of each class the caller sees."""

    own: AttestationLimit | None
    classes: dict[UUID, AttestationLimit]


async def load_attestation_limits(
    session: AsyncSession, actor: Actor, roll_call: RollCall
) -> AttestationLimits:
    """The limits of a roll call for the staff of a school. Raises `NotPermitted` for other staff."""
    if actor.school_id is None:
        raise NotPermitted(
            reason_zh="现场核验名额由学校查看", reason_en="only staff of the school see these limits"
        )
    classes = select(RollCallClass.class_id).where(
        RollCallClass.term_code == roll_call.term_code,
        RollCallClass.roll_call_id == roll_call.id,
        RollCallClass.school_id == actor.school_id,
    )
    own_classes = select_counselor_classes(actor)
    if own_classes is not None:
        classes = classes.where(RollCallClass.class_id.in_(own_classes))
    quotas = await load_class_quotas(
        session, roll_call, list(await session.scalars(classes.order_by(RollCallClass.class_id)))
    )
    used = await _count_by_class(session, roll_call, quotas.keys())
    own = None
    if actor.role == "counselor":
        limit = roll_call_policy(roll_call).integer("attestation.attester_quota")
        own = AttestationLimit(limit, await _count_by_attester(session, actor, roll_call))
    return AttestationLimits(
        own, {class_id: AttestationLimit(quota, used.get(class_id, 0)) for class_id, quota in quotas.items()}
    )


async def _count_by_class(
    session: AsyncSession, roll_call: RollCall, class_ids: Collection[UUID]
) -> dict[UUID, int]:
    """How many students of each class were attested or confirmed by a look."""
    attestations = select(Attestation.class_id.label("class_id")).where(
        Attestation.term_code == roll_call.term_code,
        Attestation.roll_call_id == roll_call.id,
        Attestation.class_id.in_(class_ids),
    )
    looks = select(LookAnswer.class_id).where(
        LookAnswer.term_code == roll_call.term_code,
        LookAnswer.roll_call_id == roll_call.id,
        LookAnswer.counted,
        LookAnswer.class_id.in_(class_ids),
    )
    both = attestations.union_all(looks).subquery()
    rows = await session.execute(select(both.c.class_id, func.count()).group_by(both.c.class_id))
    return {row[0]: row[1] for row in rows}


async def _count_by_attester(session: AsyncSession, actor: Actor, roll_call: RollCall) -> int:
    return await _count(
        session,
        roll_call,
        Attestation.attested_by == actor.account_id,
        LookAnswer.answered_by == actor.account_id,
    )


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
