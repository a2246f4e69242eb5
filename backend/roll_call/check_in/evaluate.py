"""Evaluation of check-in requests: accept with a signed receipt, refuse with a reason, or repeat the earlier receipt.

`receive_batch` loads the facts of a batch, evaluates each request and stores the results. `evaluate_request` is pure and sees
only the facts of its own request, so a request gets the same answer in a batch as alone. Only the server's clock
decides, and the caller answers after the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.core import jws
from backend.core.batching.batch_writer import DEFER, Deferred
from backend.core.batching.fair_queue import yield_to_loop
from backend.core.errors import DomainError, NotFound
from backend.core.ids import new_id
from backend.core.jobs import enqueue_all_on_connection
from backend.core.keys import KeyRing
from backend.core.unscoped_connections import Connection
from backend.identity.errors import AccountIsDisabled, KeyRevoked, ProofReplayed
from backend.roll_call import errors
from backend.roll_call.check_in.repository import (
    AcceptedCheckIn,
    CheckInFacts,
    CheckInRequest,
    RejectedCheckIn,
    load_check_in_facts,
    store_check_ins,
)
from backend.roll_call.eligibility import AttemptState, RecordedRefusal, find_refusal
from backend.roll_call.envelope import Envelope, OpenedEnvelope
from backend.roll_call.policy import CheckInLimits, load_check_in_limits
from backend.roll_call.settlement.resettlement import resettle_submission
from geo.errors import GeoError
from geo.location_fixes import validate


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The receipt of a stored envelope. `first` is False for a retry, which gets the original receipt."""

    submission_id: UUID
    receipt: str
    frames_due_at: datetime
    first: bool


@dataclass(frozen=True, slots=True)
class UnrecordedRefusal:
    """A refusal without a `refusal` row: invalid token or proof, busy intake, or no such roll call for the student."""

    error: DomainError


Answer = Acknowledgement | RecordedRefusal | UnrecordedRefusal


async def receive_batch(
    connection: Connection, requests: Sequence[CheckInRequest], keys: KeyRing, *, wait: bool = False
) -> list[Answer | Deferred]:
    """Evaluate each request and store it with its receipt, or record why it was refused. The caller commits.

    A retry of an envelope that this student already sent gets the original receipt, even after the close: an
    acknowledged envelope stays acknowledged. Another envelope with the same nonce is refused. A request is deferred if another transaction holds its locks, and so is a
    second request of the same student, which must see the result of the first. With `wait`, a single request waits for
    its locks instead.
    """
    first_of_student = {(each.proof.jkt, each.roll_call_id): each for each in reversed(requests)}
    facts = await load_check_in_facts(connection, list(first_of_student.values()), wait=wait)
    facts_of = dict(zip(first_of_student.values(), facts, strict=True))
    answers: list[Answer | Deferred] = []
    accepted: list[AcceptedCheckIn] = []
    rejected: list[RejectedCheckIn] = []
    resettle: list[dict[str, str]] = []
    for number, request in enumerate(requests):
        await yield_to_loop(number)
        own = facts_of.get(request)
        if own is None:
            answers.append(DEFER)
            continue
        match evaluate_request(request, own, keys):
            case AcceptedCheckIn() as result:
                accepted.append(result)
                if own.settled:  # in time, but the roll call was settled while the request was queued
                    resettle.append({"submission_id": str(result.id), "school_id": str(own.school_id)})
                answers.append(Acknowledgement(result.id, result.receipt, result.frames_due_at, first=True))
            case RejectedCheckIn() as result:
                rejected.append(result)
                answers.append(RecordedRefusal(result.error))
            case answer:
                answers.append(answer)
    await store_check_ins(connection, accepted, rejected)
    if resettle:
        await enqueue_all_on_connection(connection, resettle_submission, resettle)
    return answers


def evaluate_request(
    request: CheckInRequest, facts: CheckInFacts, keys: KeyRing
) -> AcceptedCheckIn | RejectedCheckIn | Acknowledgement | UnrecordedRefusal:
    """Decide one request from its facts alone."""
    error = _find_access_error(facts)
    if error is not None:
        return UnrecordedRefusal(error)
    assert facts.place is not None
    assert facts.student_id is not None
    figures = load_check_in_limits(facts.launched_at, facts.place)
    opened = request.opened
    try:
        if len(request.compact) > figures.envelope_bytes:
            raise errors.EnvelopeTooLarge(limit=figures.envelope_bytes)
        if not isinstance(opened, OpenedEnvelope):
            raise opened
        if facts.earlier_id is not None:
            if facts.earlier_digest != request.digest:
                raise errors.NonceUsed
            if request.is_own_proof:  # it was accepted before, so this is not its first send
                return UnrecordedRefusal(ProofReplayed())
            return Acknowledgement(facts.earlier_id, facts.earlier_receipt, facts.earlier_due, first=False)
        _check_envelope(request, opened.content, facts, figures)
    except errors.CheckInRefusal as refusal:
        return RejectedCheckIn(request, facts.student_id, refusal)
    return _accept(request, facts, figures, keys)


def _find_access_error(facts: CheckInFacts) -> DomainError | None:
    """Check proof, key and account like every phone request, and that the roll call exists for this student."""
    if not facts.fresh:
        return ProofReplayed()
    if facts.account_id is None or facts.key_status != "active":
        return KeyRevoked()
    if facts.account_status != "active":
        return AccountIsDisabled()
    return NotFound() if facts.place is None else None


def _check_envelope(
    request: CheckInRequest, content: Envelope, facts: CheckInFacts, figures: CheckInLimits
) -> None:
    if content.roll_call != request.roll_call_id:
        raise errors.EnvelopeWrongRollCall
    refusal = find_refusal(_attempt_state(facts), figures, request.at)
    if refusal is not None:
        raise refusal
    if facts.nonce_until is None:
        raise errors.NonceUnknown
    if request.at > facts.nonce_until:
        raise errors.NonceExpired
    if facts.recent >= figures.envelopes_per_minute:
        raise errors.TooManyAttempts
    _check_content(content, figures)


def _attempt_state(facts: CheckInFacts) -> AttemptState:
    return AttemptState(
        voided=facts.voided,
        opens_at=facts.opens_at,
        closes_at=facts.closes_at,
        duty=facts.duty,
        duty_reason=facts.duty_reason,
        outcome=facts.outcome,
        without_face=facts.without_face,
        gaps=facts.gaps,
        verdict_reasons=facts.findings or (),
    )


def _check_content(content: Envelope, figures: CheckInLimits) -> None:
    if not figures.frames_minimum <= len(content.frames) <= figures.frames_maximum:
        raise errors.EnvelopeMalformed(reason="frames")
    if any(frame.size > figures.frame_decoding.max_bytes for frame in content.frames):
        raise errors.EnvelopeMalformed(reason="frames.size")
    if len({frame.sha256 for frame in content.frames}) != len(content.frames):
        raise errors.EnvelopeMalformed(reason="frames.sha256")
    if len(content.fixes) < figures.fixes_minimum:
        raise errors.FixesTooFew(
            count=len(content.fixes), minimum=figures.fixes_minimum, seconds=round(figures.sampling_s)
        )
    if len(content.fixes) > figures.fixes_maximum:
        raise errors.EnvelopeMalformed(reason="fixes")
    try:
        for fix in content.fixes:
            validate(fix, max_age_s=figures.fix_age_s)
    except GeoError as error:
        raise errors.FixRefused(
            code=error.code, reason_zh=error.sentence("zh"), reason_en=error.sentence("en")
        ) from error


def _accept(
    request: CheckInRequest, facts: CheckInFacts, figures: CheckInLimits, keys: KeyRing
) -> AcceptedCheckIn:
    """Sign the receipt. After a rejection because of load, the grace for frames starts when the retry arrived."""
    assert facts.student_id is not None
    is_retry = request.arrived_at != request.at
    grace_starts = request.arrived_at if is_retry else min(request.at, facts.closes_at)
    claims = ReceiptClaims(
        submission_id=new_id(),
        roll_call_id=request.roll_call_id,
        student_id=facts.student_id,
        envelope_digest=request.digest,
        received_at=request.at,
        frames_due_at=grace_starts + figures.frames_grace,
    )
    in_cool_down = facts.cool_down_until is not None and facts.cool_down_until > request.at
    receipt = sign_receipt(keys, claims)
    return AcceptedCheckIn(
        claims.submission_id, request, facts.student_id, in_cool_down, receipt, claims.frames_due_at
    )


# --- receipts ---


@dataclass(frozen=True, slots=True)
class ReceiptClaims:
    """The content of a receipt: the server confirms that an envelope arrived in time and is stored."""

    submission_id: UUID
    roll_call_id: UUID
    student_id: UUID
    envelope_digest: bytes
    received_at: datetime
    frames_due_at: datetime


def sign_receipt(keys: KeyRing, claims: ReceiptClaims) -> str:
    """Sign the claims as a compact JWS (ES256). The receipt is stored, so that a retry gets the same bytes."""
    version, key = keys.signer("receipt")
    content = {
        "submission": str(claims.submission_id),
        "roll_call": str(claims.roll_call_id),
        "student": str(claims.student_id),
        "envelope_sha256": claims.envelope_digest.hex(),
        "received_at": claims.received_at.isoformat(),
        "frames_due_at": claims.frames_due_at.isoformat(),
    }
    return jws.sign({"kid": version, "typ": "dianming-receipt+jws"}, content, key)
