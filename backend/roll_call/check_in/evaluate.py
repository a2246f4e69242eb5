"""Check-in: signed envelopes, judged and stored by the batch. The server's clock decides; an answer follows the commit.

An envelope is judged by itself, from its own facts, so that a batch gives each what it would have got alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.core.batching.batch_writer import DEFER, Deferred
from backend.core.batching.fair_queue import yield_to_loop
from backend.core.direct_connections import Connection
from backend.core.errors import DomainError, NotFound
from backend.core.ids import new_id
from backend.core.jobs import defer_all
from backend.core.keys import KeyRing
from backend.identity.errors import AccountDisabled, KeyRevoked, ProofReplayed
from backend.roll_call import errors
from backend.roll_call.check_in.receipts import ReceiptFacts, sign_receipt
from backend.roll_call.check_in.repository import (
    Accepted,
    CheckInFacts,
    CheckInRequest,
    Rejected,
    load_facts,
    store,
)
from backend.roll_call.eligibility import AttemptState, Refused, ineligibility
from backend.roll_call.envelope import Envelope, OpenedEnvelope
from backend.roll_call.policy import CheckInFigures, figures_of
from backend.roll_call.settlement.service import resettle_submission
from geo.errors import GeoError
from geo.location_fixes import validate


@dataclass(frozen=True, slots=True)
class Received:
    """The receipt of an accepted envelope; `first` is False when a retry got the original one."""

    submission_id: UUID
    receipt: str
    frames_due_at: datetime
    first: bool


@dataclass(frozen=True, slots=True)
class UnrecordedError:
    """Not the student's to send at all: nothing is kept but the spent proof."""

    error: DomainError


Answer = Received | Refused | UnrecordedError


async def receive_batch(
    connection: Connection, arrivals: Sequence[CheckInRequest], keys: KeyRing, *, wait: bool = False
) -> list[Answer | Deferred]:
    """Judge each envelope and store it with its receipt, or record why not. The caller commits, then answers.

    A retry of an envelope whose nonce this student has already used gets the original receipt, late or not:
    what was acknowledged stays acknowledged. Those whose locks are held elsewhere are set aside, and so is a second
    one of the same student, who must see what became of the first; `wait` waits, for a single arrival.
    """
    firsts = {(each.proof.jkt, each.roll_call_id): each for each in reversed(arrivals)}
    facts = await load_facts(connection, list(firsts.values()), wait=wait)
    known_of = dict(zip(firsts.values(), facts, strict=True))
    answers: list[Answer | Deferred] = []
    stored: list[Accepted] = []
    declined: list[Rejected] = []
    late: list[tuple[Accepted, CheckInFacts]] = []
    for number, arrival in enumerate(arrivals):
        await yield_to_loop(number)
        known = known_of.get(arrival)
        if known is None:
            answers.append(DEFER)
            continue
        match evaluate(arrival, known, keys):
            case Accepted() as accepted:
                stored.append(accepted)
                if known.settled:
                    late.append((accepted, known))
                answers.append(Received(accepted.id, accepted.receipt, accepted.frames_due_at, first=True))
            case Rejected() as refused:
                declined.append(refused)
                answers.append(Refused(refused.error))
            case told:
                answers.append(told)
    await store(connection, stored, declined)
    if late:  # they arrived in time and waited here while the roll call was settled without them
        jobs = [{"submission_id": str(each.id), "school_id": str(known.school_id)} for each, known in late]
        await defer_all(connection, resettle_submission, jobs)
    return answers


def evaluate(
    arrival: CheckInRequest, facts: CheckInFacts, keys: KeyRing
) -> Accepted | Rejected | Received | UnrecordedError:
    """What becomes of one envelope, from its facts alone."""
    unheard = _unheard(facts)
    if unheard is not None:
        return UnrecordedError(unheard)
    assert facts.place is not None
    assert facts.student_id is not None
    figures = figures_of(facts.launched_at, facts.place)
    opened = arrival.opened
    try:
        if len(arrival.compact) > figures.envelope_bytes:
            raise errors.EnvelopeTooLarge(limit=figures.envelope_bytes)
        if not isinstance(opened, OpenedEnvelope):
            raise opened
        if facts.earlier_id is not None:
            return Received(facts.earlier_id, facts.earlier_receipt, facts.earlier_due, first=False)
        _check_envelope(arrival, opened.content, facts, figures)
    except errors.CheckInRefusal as error:
        return Rejected(arrival, facts.student_id, error)
    return _accepted(arrival, facts, figures, keys)


def _unheard(facts: CheckInFacts) -> DomainError | None:
    """As at every request of a phone: the proof is fresh, key and account stand; and the roll call is the student's."""
    if not facts.fresh:
        return ProofReplayed()
    if facts.account_id is None or facts.key_status != "active":
        return KeyRevoked()
    if facts.account_status != "active":
        return AccountDisabled()
    return NotFound() if facts.place is None else None


def _check_envelope(
    arrival: CheckInRequest, content: Envelope, facts: CheckInFacts, figures: CheckInFigures
) -> None:
    if content.roll_call != arrival.roll_call_id:
        raise errors.EnvelopeElsewhere
    refusal = ineligibility(_standing(facts), figures, arrival.at)
    if refusal is not None:
        raise refusal
    if facts.nonce_until is None:
        raise errors.NonceUnknown
    if arrival.at > facts.nonce_until:
        raise errors.NonceExpired
    if facts.recent >= figures.envelopes_per_minute:
        raise errors.TooManyAttempts
    _check_content(content, figures)


def _standing(facts: CheckInFacts) -> AttemptState:
    return AttemptState(
        voided=facts.voided,
        opens_at=facts.opens_at,
        closes_at=facts.closes_at,
        duty=facts.duty,
        duty_reason=facts.duty_reason,
        outcome=facts.outcome,
        without_face=facts.without_face,
        gaps=facts.gaps,
        findings=facts.findings or (),
    )


def _check_content(content: Envelope, figures: CheckInFigures) -> None:
    if not figures.frames_minimum <= len(content.frames) <= figures.frames_maximum:
        raise errors.EnvelopeMalformed(reason="frames")
    if any(frame.size > figures.frame_bytes for frame in content.frames):
        raise errors.EnvelopeMalformed(reason="frames.size")
    if len({frame.sha256 for frame in content.frames}) != len(content.frames):
        raise errors.EnvelopeMalformed(reason="frames.sha256")
    if not figures.fixes_minimum <= len(content.fixes) <= figures.fixes_maximum:
        raise errors.EnvelopeMalformed(reason="fixes")
    try:
        for part in content.fixes:
            validate(part, max_age_s=figures.fix_age_s)
    except GeoError as error:
        raise errors.FixRefused(
            code=error.code, reason_zh=error.sentence("zh"), reason_en=error.sentence("en")
        ) from error


def _accepted(
    arrival: CheckInRequest, facts: CheckInFacts, figures: CheckInFigures, keys: KeyRing
) -> Accepted:
    """With its receipt. Whoever was turned away under load gets the frames' grace from when they came back."""
    assert facts.student_id is not None
    submission_id = new_id()
    started = min(arrival.at, facts.closes_at) if arrival.came_at == arrival.at else arrival.came_at
    frames_due_at = started + figures.frames_grace
    receipt = sign_receipt(
        keys,
        ReceiptFacts(
            submission_id, arrival.roll_call_id, facts.student_id, arrival.digest, arrival.at, frames_due_at
        ),
    )
    cooling = facts.cool_down_until is not None and facts.cool_down_until > arrival.at
    return Accepted(submission_id, arrival, facts.student_id, cooling, receipt, frames_due_at)
