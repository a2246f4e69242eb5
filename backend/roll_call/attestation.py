"""The non-face route: a counselor on the filed site attests a student by the code of the student's card (THREATS 17).

It is an equal alternative without penalty and counts like any other presence. Against false attestations there are a
quota per class, a random sample that staff cannot influence, and a review by a person other than the attester.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.people.tables import Student
from backend.roll_call import rules
from backend.roll_call.access import access_roll_call, acts_for_launcher, select_counselor_classes
from backend.roll_call.errors import (
    AlreadyPresent,
    AttestationQuotaExhausted,
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
    AttestationReview,
    Obligation,
    RollCall,
    RollCallClass,
    RollCallSite,
    RollCallStep,
    StudentCode,
)

CODE_DIGITS = 8
ATTESTATION_METHOD = "attested"


def _code_hash(keys: KeyRing, student_id: UUID, code: str) -> bytes:
    return hmac.new(keys.secret("blind-index"), f"card/{student_id}/{code}".encode(), hashlib.sha256).digest()


async def issue_student_code(
    session: AsyncSession, actor: Actor, student_id: UUID, at: datetime, keys: KeyRing
) -> str:
    """Create a new code for the student's card, replacing the previous one. The code is returned once and stored as a hash."""
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="仅学校管理员可以制发学生卡", reason_en="only a registrar issues student cards"
        )
    student = await session.get(Student, student_id)
    if student is None:
        raise NotFound
    code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
    session.add(
        StudentCode(
            id=new_id(),
            school_id=student.school_id,
            student_id=student_id,
            code_hash=_code_hash(keys, student_id, code),
            issued_by=actor.account_id,
            issued_at=at,
        )
    )
    audit.record(session, audit.Act("student_code.issue", "student", str(student_id), actor.org_path), at)
    return code


@dataclass(frozen=True, slots=True)
class AttestPresence:
    """Command: the student, the frozen site, the code of the card, and why the phone was not used."""

    roll_call_id: UUID
    student_id: UUID
    code: str
    site_version_id: UUID
    reason: str


async def attest_presence(
    session: AsyncSession, actor: Actor, command: AttestPresence, at: datetime, keys: KeyRing
) -> Attestation:
    """Record that a counselor saw the student, inside the window and within the quota of the class."""
    roll_call = await access_roll_call(session, actor, command.roll_call_id, at)
    obligation = await _load_own_obligation(session, actor, command)
    _require_owed_in_window(roll_call, obligation, at)
    await _require_valid_code(session, command, keys)
    site = await session.get(RollCallSite, (roll_call.id, command.site_version_id))
    if site is None or site.school_id != obligation.school_id:
        raise NotFound
    await _lock_for_attestation(session, roll_call, obligation)
    if await session.get(RollCallStep, (roll_call.id, "voided")) is not None:
        raise RollCallIsVoided
    if await session.get(Attestation, (roll_call.id, command.student_id)) is not None:
        raise Conflict(
            reason_zh="该生本次核验已办理过现场核验", reason_en="this student was attested already"
        )
    await _require_quota(session, roll_call, obligation)
    earlier = await find_current_outcome(session, roll_call.id, command.student_id)
    if earlier is not None and earlier.outcome == rules.Outcome.PRESENT:
        raise AlreadyPresent
    sampled = _is_sampled(roll_call, command.student_id, keys)
    attestation = Attestation(
        roll_call_id=roll_call.id,
        student_id=command.student_id,
        school_id=obligation.school_id,
        term_code=roll_call.term_code,
        class_id=obligation.class_id,
        site_version_id=command.site_version_id,
        reason=command.reason,
        attested_by=actor.account_id,
        sampled=sampled,
        at=at,
    )
    session.add(attestation)
    trace = {"site_version": str(command.site_version_id), "sampled": sampled}
    decision = OutcomeDecision(rules.Outcome.PRESENT, "attested_on_site", ATTESTATION_METHOD, trace)
    if not await write_outcome(session, roll_call, obligation, decision, at, replaces=earlier):
        raise AlreadyPresent
    return attestation


async def _lock_for_attestation(session: AsyncSession, roll_call: RollCall, obligation: Obligation) -> None:
    """Lock the class, whose quota is counted, then the obligation and the roll call."""
    class_key = func.hashtextextended(f"attest/{roll_call.id}/{obligation.class_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(class_key)))
    await lock_obligation(session, roll_call.id, obligation.student_id)
    await lock_roll_call_shared(session, roll_call.id)


def _is_sampled(roll_call: RollCall, student_id: UUID, keys: KeyRing) -> bool:
    """Whether the attestation needs a review: a keyed hash decides, which staff can neither choose nor predict."""
    digest = hashlib.sha256(keys.secret("blind-index") + f"{roll_call.id}/{student_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < roll_call_policy(roll_call).ratio(
        "attestation.review_share"
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


async def _require_valid_code(session: AsyncSession, command: AttestPresence, keys: KeyRing) -> None:
    newest = await session.scalar(
        select(StudentCode.code_hash)
        .where(StudentCode.student_id == command.student_id)
        .order_by(StudentCode.issued_at.desc(), StudentCode.id.desc())
        .limit(1)
    )
    if newest is None or not hmac.compare_digest(newest, _code_hash(keys, command.student_id, command.code)):
        raise StudentCodeWrong


async def _require_quota(session: AsyncSession, roll_call: RollCall, obligation: Obligation) -> None:
    policy = roll_call_policy(roll_call)
    roll_call_class = await session.get_one(RollCallClass, (roll_call.id, obligation.class_id))
    share, minimum = policy.ratio("attestation.quota_share"), policy.integer("attestation.quota_minimum")
    quota = rules.compute_attestation_quota(roll_call_class.owed, share, minimum)
    used = await session.scalar(
        select(func.count()).where(
            Attestation.term_code == roll_call.term_code,
            Attestation.roll_call_id == roll_call.id,
            Attestation.class_id == obligation.class_id,
        )
    )
    if (used or 0) >= quota:
        raise AttestationQuotaExhausted(quota=quota)


@dataclass(frozen=True, slots=True)
class ReviewAttestation:
    """Command: whether a second person confirms an attestation."""

    roll_call_id: UUID
    student_id: UUID
    upheld: bool
    note: str


async def review_attestation(
    session: AsyncSession, actor: Actor, command: ReviewAttestation, at: datetime
) -> AttestationReview:
    """Review an attestation, as a person of the launcher or a superior of it (THREATS: another organisation).

    If it is not upheld, the student becomes undetermined, never missed; in a voided roll call, excused.
    """
    roll_call = await access_roll_call(session, actor, command.roll_call_id, at)
    attestation = await session.get(Attestation, (command.roll_call_id, command.student_id))
    if attestation is None:
        raise NotFound
    if actor.account_id == attestation.attested_by or not acts_for_launcher(roll_call, actor):
        raise NotPermitted(
            reason_zh="复核人须为发起单位或其上级的管理员，且不能是现场核验人",
            reason_en="the reviewer administers the launching authority or one above, and is not the attester",
        )
    written = await session.scalar(
        insert(AttestationReview)
        .values(
            roll_call_id=command.roll_call_id,
            student_id=command.student_id,
            school_id=attestation.school_id,
            term_code=attestation.term_code,
            attested_by=attestation.attested_by,
            reviewed_by=actor.account_id,
            upheld=command.upheld,
            note=command.note,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(AttestationReview.student_id)
    )
    if written is None:
        raise Conflict(reason_zh="该现场核验已复核", reason_en="this attestation was reviewed already")
    if not command.upheld:
        await _replace_presence(session, roll_call, command, at)
    return await session.get_one(AttestationReview, (command.roll_call_id, command.student_id))


async def _replace_presence(
    session: AsyncSession, roll_call: RollCall, command: ReviewAttestation, at: datetime
) -> None:
    """Replace the presence if it is based on the attestation alone."""
    await lock_obligation(session, roll_call.id, command.student_id)
    await lock_roll_call_shared(session, roll_call.id)
    earlier = await find_current_outcome(session, roll_call.id, command.student_id)
    if earlier is None or earlier.method != ATTESTATION_METHOD:
        return
    voided = await session.get(RollCallStep, (roll_call.id, "voided")) is not None
    outcome, reason = (
        (rules.Outcome.EXCUSED, "voided")
        if voided
        else (rules.Outcome.UNDETERMINED, "attestation_not_upheld")
    )
    obligation = await session.get_one(Obligation, (roll_call.id, command.student_id))
    decision = OutcomeDecision(outcome, reason, "review", {"note": command.note})
    await write_outcome(session, roll_call, obligation, decision, at, replaces=earlier)
