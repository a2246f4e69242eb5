"""Whether a student may make another attempt in a roll call, and the record of a refused attempt.

A refusal is stored as a row with a code (`Refusal`). Services return it instead of raising, so that the API commits the
row before it answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import DomainError
from backend.core.ids import new_id
from backend.identity.accounts.activation import open_activation_steps
from backend.identity.consents import has_chosen_non_face_route
from backend.roll_call import errors, rules
from backend.roll_call.outcomes import find_current_outcome
from backend.roll_call.policy import CheckInLimits, check_in_limits, roll_call_policy
from backend.roll_call.student_queries import load_student_roll_call
from backend.roll_call.tables import Obligation, Refusal, RollCall, RollCallStep, VerdictRecord


@dataclass(frozen=True, slots=True)
class StudentCheck:
    """A roll call, one student's obligation in it, and the limits of a check-in under its policy."""

    roll_call: RollCall
    obligation: Obligation
    figures: CheckInLimits


@dataclass(frozen=True, slots=True)
class RecordedRefusal:
    """A refusal that has been recorded; the API answers with `error` after the commit."""

    error: DomainError


@dataclass(frozen=True, slots=True)
class AttemptState:
    """What decides whether another attempt is allowed; `verdict_reasons` holds the reason codes of each verdict so far."""

    voided: bool
    opens_at: datetime
    closes_at: datetime
    duty: str
    duty_reason: str | None
    outcome: str | None
    without_face: bool
    gaps: Sequence[str]
    verdict_reasons: Sequence[Sequence[str]]


# --- the rule (pure) ---


def find_refusal(state: AttemptState, figures: CheckInLimits, at: datetime) -> errors.CheckInRefusal | None:
    """Return why another attempt at `at` is refused, or None: the window first, then the student."""
    return (
        _find_window_refusal(state, at)
        or _find_student_refusal(state)
        or find_exhaustion(state.verdict_reasons, figures)
    )


def _find_window_refusal(state: AttemptState, at: datetime) -> errors.CheckInRefusal | None:
    if state.voided:
        return errors.RollCallIsVoided()
    match rules.classify_timing(at, state.opens_at, state.closes_at):
        case rules.Timing.EARLY:
            return errors.NotOpenYet(opens_at=state.opens_at.isoformat())
        case rules.Timing.LATE:
            return errors.WindowClosed(closes_at=state.closes_at.isoformat())
    return None


def _find_student_refusal(state: AttemptState) -> errors.CheckInRefusal | None:
    if state.duty != "owed":
        return errors.PresenceNotOwed(reason=state.duty_reason)
    if state.outcome == rules.Outcome.PRESENT:
        return errors.AlreadyPresent()
    if state.without_face:
        return errors.NonFaceRouteChosen()
    if state.gaps:
        return errors.ActivationIncomplete(gaps="、".join(state.gaps))
    return None


def find_exhaustion(
    verdict_reasons: Sequence[Sequence[str]], figures: CheckInLimits
) -> errors.CheckInRefusal | None:
    """Return the refusal if the automatic attempts are used up and a person decides next (THREATS 15)."""
    failures = rules.count_face_failures(verdict_reasons)
    if failures.mismatches >= figures.face_failures:
        return errors.TooManyFailures(attempts=failures.mismatches)
    if failures.doubts >= figures.step_ups:
        return errors.StepUpsExhausted(attempts=failures.doubts)
    return None


# --- the facts ---


async def load_student_check(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> StudentCheck:
    """Load the roll call of this student; raises NotFound if it is not announced yet or not addressed to them."""
    view = await load_student_roll_call(session, actor, roll_call_id, at)
    roll_call, obligation = view.roll_call, view.obligation
    return StudentCheck(roll_call, obligation, check_in_limits(roll_call_policy(roll_call)))


async def load_attempt_state(session: AsyncSession, check: StudentCheck) -> AttemptState:
    """Load what `find_refusal` needs for this student."""
    student_id, roll_call = check.obligation.student_id, check.roll_call
    outcome = await find_current_outcome(session, roll_call.id, student_id)
    return AttemptState(
        voided=await session.get(RollCallStep, (roll_call.id, "voided")) is not None,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        duty=check.obligation.duty,
        duty_reason=check.obligation.reason,
        outcome=outcome.outcome if outcome else None,
        without_face=await has_chosen_non_face_route(session, student_id),
        gaps=await open_activation_steps(session, student_id),
        verdict_reasons=await load_verdict_reasons(session, check),
    )


async def load_verdict_reasons(session: AsyncSession, check: StudentCheck) -> Sequence[Sequence[str]]:
    """Load the reasons of each verdict of this student in this roll call."""
    rows = await session.scalars(
        select(VerdictRecord.reasons).where(
            VerdictRecord.term_code == check.roll_call.term_code,
            VerdictRecord.roll_call_id == check.roll_call.id,
            VerdictRecord.school_id == check.obligation.school_id,
            VerdictRecord.student_id == check.obligation.student_id,
        )
    )
    return rows.all()


async def record_refusal(
    session: AsyncSession,
    check: StudentCheck,
    step: str,
    error: DomainError,
    at: datetime,
    digest: bytes | None = None,
) -> RecordedRefusal:
    """Record why an attempt was refused at a step."""
    session.add(
        Refusal(
            id=new_id(),
            roll_call_id=check.roll_call.id,
            school_id=check.obligation.school_id,
            term_code=check.roll_call.term_code,
            student_id=check.obligation.student_id,
            step=step,
            code=error.code,
            detail={key: str(value) for key, value in error.params.items()},
            envelope_digest=digest,
            at=at,
        )
    )
    await session.flush()
    return RecordedRefusal(error)
