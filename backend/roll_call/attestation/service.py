"""The non-face route: a counselor on the filed site attests a student by the code of the student's card (THREATS 17).

It is an equal alternative without penalty and counts like any other presence. Against false attestations there are the
attester's position, quotas for class and attester, counted wrong codes, and a random sample that staff can neither
influence nor see, which a person other than the attester reviews (`review.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.keys import KeyRing
from backend.roll_call import rules
from backend.roll_call.access import access_roll_call, select_counselor_classes
from backend.roll_call.attestation.card_codes import is_valid_code, record_wrong_code, require_codes_left
from backend.roll_call.attestation.limits import (
    find_class_quota_objection,
    is_sampled,
    lock_class_quota,
    require_attester_quota,
)
from backend.roll_call.attestation.position import AttesterPosition, require_inside_site
from backend.roll_call.attestation.reasons import AttestationReason
from backend.roll_call.errors import (
    AlreadyPresent,
    NotOpenYet,
    PresenceNotOwed,
    RollCallIsVoided,
    StudentCodeWrong,
    WindowClosed,
)
from backend.roll_call.outcomes import (
    OutcomeDecision,
    find_current_outcome,
    lock_obligation,
    lock_roll_call_shared,
    write_outcome,
)
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.tables import (
    Attestation,
    Obligation,
    RollCall,
    RollCallSite,
    RollCallStep,
)

ATTESTATION_METHOD: Final = "attested"


@dataclass(frozen=True, slots=True)
class AttestPresence:
    """Command: the student, the frozen site, the card's code, why the phone was not used, and where the attester is."""

    roll_call_id: UUID
    student_id: UUID
    code: str
    site_version_id: UUID
    reason: str
    position: AttesterPosition
    reason_code: AttestationReason = AttestationReason.OTHER


async def attest_presence(
    session: AsyncSession, actor: Actor, command: AttestPresence, at: datetime, keys: KeyRing
) -> Attestation | StudentCodeWrong:
    """Record that a counselor on the site saw the student, inside the window and within the limits.

    A wrong card code is returned, not raised: the caller commits its count and then refuses. Nothing in the answer or in
    the outcome says whether the attestation is sampled.
    """
    roll_call = await access_roll_call(session, actor, command.roll_call_id, at)
    obligation = await _load_own_obligation(session, actor, command)
    _require_owed_in_window(roll_call, obligation, at)
    site = await session.get(RollCallSite, (roll_call.id, command.site_version_id))
    if site is None or site.school_id != obligation.school_id:
        raise NotFound
    policy = roll_call_policy(roll_call)
    position = await require_inside_site(session, policy, command.site_version_id, command.position)
    await require_codes_left(session, actor, command.student_id, policy, at)
    if not await is_valid_code(session, command.student_id, command.code, keys):
        record_wrong_code(session, actor, obligation, command.position.session_id, at)
        return StudentCodeWrong()
    # `require_codes_left` has locked the attester.
    await lock_class_quota(session, roll_call, obligation.class_id)
    await lock_obligation(session, roll_call.id, obligation.student_id)
    await lock_roll_call_shared(session, roll_call.id)
    await _require_open(session, roll_call, command.student_id)
    await _require_quotas(session, actor, roll_call, obligation)
    earlier = await find_current_outcome(session, roll_call.id, command.student_id)
    if earlier is not None and earlier.outcome == rules.Outcome.PRESENT:
        raise AlreadyPresent
    attestation = Attestation(
        roll_call_id=roll_call.id,
        student_id=command.student_id,
        school_id=obligation.school_id,
        term_code=roll_call.term_code,
        class_id=obligation.class_id,
        site_version_id=command.site_version_id,
        reason_code=command.reason_code,
        reason=command.reason,
        attested_by=actor.account_id,
        session_id=command.position.session_id,
        position=position,
        sampled=is_sampled(roll_call, command.student_id, keys),
        at=at,
    )
    session.add(attestation)
    trace = {"site_version": str(command.site_version_id), "position": position}
    decision = OutcomeDecision(rules.Outcome.PRESENT, "attested_on_site", ATTESTATION_METHOD, trace)
    if not await write_outcome(session, roll_call, obligation, decision, at, replaces=earlier):
        raise AlreadyPresent
    return attestation


async def _require_open(session: AsyncSession, roll_call: RollCall, student_id: UUID) -> None:
    if await session.get(RollCallStep, (roll_call.id, "voided")) is not None:
        raise RollCallIsVoided
    if await session.get(Attestation, (roll_call.id, student_id)) is not None:
        raise Conflict(
            reason_zh="该生本次核验已办理过现场核验", reason_en="this student was attested already"
        )


async def _load_own_obligation(session: AsyncSession, actor: Actor, command: AttestPresence) -> Obligation:
    if actor.role != "counselor":
        raise NotPermitted(reason_zh="现场核验须由辅导员办理", reason_en="only a counselor attests presence")
    obligation = await session.get(Obligation, (command.roll_call_id, command.student_id))
    own_classes = select_counselor_classes(actor)
    assert own_classes is not None
    if obligation is None or obligation.class_id not in set(await session.scalars(own_classes)):
        raise NotFound
    return obligation


def _require_owed_in_window(roll_call: RollCall, obligation: Obligation, at: datetime) -> None:
    match rules.classify_timing(at, roll_call.opens_at, roll_call.deadline):
        case rules.Timing.EARLY:
            raise NotOpenYet(opens_at=roll_call.opens_at.isoformat())
        case rules.Timing.LATE:
            raise WindowClosed(closes_at=roll_call.deadline.isoformat())
    if obligation.duty != "owed":
        raise PresenceNotOwed(reason=obligation.reason)


async def _require_quotas(
    session: AsyncSession, actor: Actor, roll_call: RollCall, obligation: Obligation
) -> None:
    """Raise unless class and attester have attestations left in this roll call. Both are counted under their locks."""
    exhausted = await find_class_quota_objection(session, roll_call, obligation)
    if exhausted is not None:
        raise exhausted
    await require_attester_quota(session, actor, roll_call)
