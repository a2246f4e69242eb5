"""What stands before an attempt: the roll call as its student meets it, and what speaks against trying again.

A refusal on the spot is a row with a code (`Refusal`), committed like any other fact; services return it instead
of raising, so that the edge can commit before it answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import DomainError
from backend.core.ids import new_id
from backend.identity.accounts.activation import activation_gaps
from backend.identity.tables import FaceTemplate, NonFaceRoute
from backend.roll_call import errors, rules
from backend.roll_call.outcomes import outcome_of
from backend.roll_call.policy import CheckInFigures, check_in_figures, law_of
from backend.roll_call.queries import own_roll_call
from backend.roll_call.tables import Obligation, Refusal, RollCall, RollCallStep, Verdict


@dataclass(frozen=True, slots=True)
class StudentCheck:
    """A roll call, one student's part in it, and the bounds of a check-in under its law."""

    roll_call: RollCall
    obligation: Obligation
    figures: CheckInFigures


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal that has been recorded; `error` is what the edge answers after the commit."""

    error: DomainError


async def load_student_check(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> StudentCheck:
    """The roll call as this student sees it; one not announced yet, or not addressed to them, is not there."""
    view = await own_roll_call(session, actor, roll_call_id, at)
    roll_call, obligation = view.roll_call, view.obligation
    return StudentCheck(roll_call, obligation, check_in_figures(law_of(roll_call)))


@dataclass(frozen=True, slots=True)
class AttemptState:
    """What may stand against another attempt; `findings` are the reasons of each verdict so far."""

    voided: bool
    opens_at: datetime
    closes_at: datetime
    duty: str
    duty_reason: str | None
    outcome: str | None
    without_face: bool
    gaps: Sequence[str]
    findings: Sequence[Sequence[str]]


def ineligibility(
    standing: AttemptState, figures: CheckInFigures, at: datetime
) -> errors.CheckInRefusal | None:
    """What stands against another attempt at `at`, if anything: first of the roll call, then of the student."""
    return (
        _of_the_window(standing, at)
        or _of_the_student(standing)
        or attempts_exhausted(standing.findings, figures)
    )


def _of_the_window(standing: AttemptState, at: datetime) -> errors.CheckInRefusal | None:
    if standing.voided:
        return errors.RollCallVoided()
    match rules.timing(at, standing.opens_at, standing.closes_at):
        case rules.Timing.EARLY:
            return errors.NotOpenYet(opens_at=standing.opens_at.isoformat())
        case rules.Timing.LATE:
            return errors.WindowClosed(closes_at=standing.closes_at.isoformat())
    return None


def _of_the_student(standing: AttemptState) -> errors.CheckInRefusal | None:
    if standing.duty != "owed":
        return errors.NotAsked(reason=standing.duty_reason)
    if standing.outcome == rules.Outcome.PRESENT:
        return errors.AlreadyPresent()
    if standing.without_face:
        return errors.FaceRouteClosed()
    if standing.gaps:
        return errors.ActivationIncomplete(gaps="、".join(standing.gaps))
    return None


def attempts_exhausted(
    findings: Sequence[Sequence[str]], figures: CheckInFigures
) -> errors.CheckInRefusal | None:
    """Whether the machine has had its tries, so that a person is next (THREATS 15)."""
    tries = rules.face_tries(findings)
    if tries.mismatches >= figures.face_failures:
        return errors.TooManyFailures(attempts=tries.mismatches)
    if tries.doubts >= figures.step_ups:
        return errors.StepUpsExhausted(attempts=tries.doubts)
    return None


async def stored_ineligibility(
    session: AsyncSession, task: StudentCheck, at: datetime
) -> errors.CheckInRefusal | None:
    """What stands against another attempt of this student, if anything."""
    student_id, roll_call = task.obligation.student_id, task.roll_call
    outcome = await outcome_of(session, roll_call.id, student_id)
    standing = AttemptState(
        voided=await session.get(RollCallStep, (roll_call.id, "voided")) is not None,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        duty=task.obligation.duty,
        duty_reason=task.obligation.reason,
        outcome=outcome.outcome if outcome else None,
        without_face=await _without_face(session, student_id),
        gaps=await activation_gaps(session, student_id),
        findings=await _findings(session, task),
    )
    return ineligibility(standing, task.figures, at)


async def _without_face(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student chose the non-face route and has no template that a burst could be judged by."""
    chosen = exists().where(NonFaceRoute.student_id == student_id)
    enrolled = exists().where(FaceTemplate.student_id == student_id, FaceTemplate.status == "active")
    return bool(await session.scalar(select(chosen & ~enrolled)))


async def _findings(session: AsyncSession, task: StudentCheck) -> Sequence[Sequence[str]]:
    found = await session.scalars(
        select(Verdict.reasons).where(
            Verdict.term_code == task.roll_call.term_code,
            Verdict.roll_call_id == task.roll_call.id,
            Verdict.school_id == task.obligation.school_id,
            Verdict.student_id == task.obligation.student_id,
        )
    )
    return found.all()


async def exhausted(session: AsyncSession, task: StudentCheck) -> DomainError | None:
    """Whether the machine has had its tries with this student."""
    return attempts_exhausted(await _findings(session, task), task.figures)


async def refuse(
    session: AsyncSession,
    task: StudentCheck,
    step: str,
    error: DomainError,
    at: datetime,
    digest: bytes | None = None,
) -> Refused:
    """Record why an attempt was refused at a step."""
    session.add(
        Refusal(
            id=new_id(),
            roll_call_id=task.roll_call.id,
            school_id=task.obligation.school_id,
            term_code=task.roll_call.term_code,
            student_id=task.obligation.student_id,
            step=step,
            code=error.code,
            detail={key: str(value) for key, value in error.params.items()},
            envelope_digest=digest,
            at=at,
        )
    )
    await session.flush()
    return Refused(error)
