"""The effects of appeals on standing (HN334-4.2): an appeal was filed, withdrawn, or decided.

The package `appeal` manages the case itself. An appeal recorded here blocks automatic executions while it is open, and
restores the standing when it is upheld. The engine admits every appeal that passed the checks here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.org.paths import division_of
from backend.policy.installed import policy_at
from backend.roll_call.outcomes import find_current_outcome
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall
from backend.standing.appeal_errors import (
    AlreadyAppealed,
    AlreadyCarriedUp,
    AppealExhausted,
    AppealTooLate,
    ChangeNotInForce,
    NoResultYet,
    NothingToAppeal,
    PreviousNotRejected,
)
from backend.standing.engine.assess import Assessment
from backend.standing.engine.decision_rules import find_appeal_objection
from backend.standing.engine.facts import Appeal, check_key
from backend.standing.engine.ledger import sanctions_in_force
from backend.standing.store.load import policy_history
from backend.standing.store.lock import (
    LockedStudent,
    assess_locked_student,
    lock_for_assessment,
)
from backend.standing.store.save import recompute_locked, save_assessment
from backend.standing.store.tables import AppealDecided, AppealFiled, AppealWithdrawn, StandingEntry

Target = Literal["check", "change", "gaokao"]
AppealFinding = Literal["present", "excused"]


@dataclass(frozen=True, slots=True)
class NewAppeal:
    """An appeal to file. `target_id` is a roll call's id, a ledger entry's id, or the year of a gaokao.

    `previous` is the rejected appeal in the same matter that this one takes to the next level.
    """

    student_id: UUID
    target: Target
    target_id: str
    previous: UUID | None = None


@dataclass(frozen=True, slots=True)
class RecordedAppeal:
    """A recorded appeal, and its student, locked by the transaction."""

    appeal: AppealFiled
    locked_student: LockedStudent
    assessment: Assessment
    """The assessment before the appeal."""


async def lock_for_appeal(
    session: AsyncSession, actor: Actor, student_id: UUID, at: datetime
) -> tuple[LockedStudent, Assessment]:
    """Lock the student and assess; for staff, also save the result. A student's scope may not save: a job does."""
    locked = await lock_for_assessment(session, student_id, at)
    _, assessment = await assess_locked_student(session, locked)
    if actor.role != "student":
        await save_assessment(session, locked, assessment)
    return locked, assessment


async def save_appeal_consequences(session: AsyncSession, actor: Actor, locked: LockedStudent) -> None:
    """Save the consequences in the same transaction. After a student's own act, an event consumer saves them."""
    await session.flush()
    if actor.role != "student":
        await recompute_locked(session, locked)


async def record_appeal(session: AsyncSession, actor: Actor, new: NewAppeal, at: datetime) -> RecordedAppeal:
    """Lock the student and record the appeal of the student or the school. Save the consequences with `save_appeal_consequences`.

    Raises `NotFound` if the target is not the student's, and a specific error for each objection. If the package
    `appeal` raises afterwards, the transaction is rolled back with this record.
    """
    locked, assessment = await lock_for_appeal(session, actor, new.student_id, at)
    known_at = await _target_at(session, locked, assessment, new)
    previous = await _load_rejection(session, new)
    await _require_admissible(session, actor, locked, new)
    _require_in_time(locked, assessment, new, previous.at if previous else known_at)
    row = AppealFiled(
        id=new_id(),
        **locked.keys,
        appellant=_appellant(actor),
        target=new.target,
        target_id=new.target_id,
        previous=new.previous,
        filed_by=actor.account_id,
        guardian_link_id=actor.guardian_link_id,
        filed_at=locked.at,
    )
    session.add(row)
    await session.flush()
    return RecordedAppeal(row, locked, assessment)


async def record_withdrawal(
    session: AsyncSession, actor: Actor, locked: LockedStudent, appeal: AppealFiled, reason: str | None
) -> None:
    """The appellant withdraws an open appeal."""
    session.add(
        AppealWithdrawn(
            appeal_id=appeal.id,
            school_id=appeal.school_id,
            student_id=appeal.student_id,
            reason=reason,
            withdrawn_by=actor.account_id,
            at=locked.at,
        )
    )
    await session.flush()


async def record_end(session: AsyncSession, locked: LockedStudent, appeal: AppealFiled) -> None:
    """End an open appeal whose change has been reversed. No account acts."""
    session.add(
        AppealWithdrawn(
            appeal_id=appeal.id,
            school_id=appeal.school_id,
            student_id=appeal.student_id,
            reason=None,
            withdrawn_by=None,
            at=locked.at,
        )
    )
    await session.flush()


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision on an appeal. `finding` is the new result of an overturned check."""

    upheld: bool
    finding: AppealFinding
    reasons: str


async def record_ruling(
    session: AsyncSession, actor: Actor, locked: LockedStudent, appeal: AppealFiled, ruling: Ruling
) -> AppealDecided:
    """Record the decision on an open appeal. If two people decide at once, the primary key admits one."""
    row = AppealDecided(
        appeal_id=appeal.id,
        school_id=appeal.school_id,
        student_id=appeal.student_id,
        upheld=ruling.upheld,
        finding=ruling.finding,
        reasons=ruling.reasons,
        filed_by=appeal.filed_by,
        decided_by=actor.account_id,
        at=locked.at,
    )
    session.add(row)
    await session.flush()
    return row


def _appellant(actor: Actor) -> str:
    return "student" if actor.role == "student" else "school"


async def _target_at(
    session: AsyncSession, locked: LockedStudent, assessment: Assessment, new: NewAppeal
) -> datetime | None:
    """The instant of the result or change; None for gaokao eligibility, which the package `appeal` checks."""
    match new.target:
        case "check":
            return await _result_at(session, locked, UUID(new.target_id))
        case "change":
            return await _change_at(session, assessment, new)
    return None


async def _result_at(session: AsyncSession, locked: LockedStudent, roll_call_id: UUID) -> datetime:
    student_id = locked.subject.student_id
    roll_call = await session.get(RollCall, roll_call_id)
    obligation = await session.get(Obligation, (roll_call_id, student_id))
    if (
        roll_call is None
        or roll_call.notify_at > locked.at
        or obligation is None
        or obligation.duty == "exempt"
    ):
        raise NotFound
    outcome = await find_current_outcome(session, roll_call_id, student_id)
    if outcome is None:
        raise NoResultYet
    if outcome.outcome in {Outcome.PRESENT, Outcome.EXCUSED}:
        raise NothingToAppeal
    return outcome.at


async def _change_at(session: AsyncSession, assessment: Assessment, new: NewAppeal) -> datetime:
    entry = await session.get(StandingEntry, UUID(new.target_id))
    if entry is None or entry.student_id != new.student_id:
        raise NotFound
    if new.target_id not in {standing.entry_id for standing in sanctions_in_force(assessment.ledger)}:
        raise ChangeNotInForce
    return entry.recorded_at


async def _load_rejection(session: AsyncSession, new: NewAppeal) -> AppealDecided | None:
    """The decision that rejected the previous appeal."""
    if new.previous is None:
        return None
    decided = await session.get(AppealDecided, new.previous)
    if decided is None or decided.upheld:
        raise PreviousNotRejected
    return decided


async def _require_admissible(
    session: AsyncSession, actor: Actor, locked: LockedStudent, new: NewAppeal
) -> None:
    """Check the order of appeals by the same rule as the engine."""
    facts, _ = await assess_locked_student(session, locked)
    levels = policy_history(locked.subject.path).on(legal_day(locked.at)).appeal_levels
    appeal = Appeal(
        appeal_id=str(new_id()),
        appellant=_appellant(actor),
        target=new.target,
        target_id=new.target_id,
        filed_at=locked.at,
        previous=str(new.previous) if new.previous else None,
    )
    match find_appeal_objection(appeal, facts, levels):
        case None:
            return
        case "no_result_yet":
            raise NoResultYet
        case "already_appealed":
            raise AlreadyAppealed
        case "previous_not_rejected":
            raise PreviousNotRejected
        case "already_carried_up":
            raise AlreadyCarriedUp
        case "appeal_exhausted":
            raise AppealExhausted(levels=levels)
        case objection:
            raise ValueError(objection)


def _require_in_time(
    locked: LockedStudent, assessment: Assessment, new: NewAppeal, known_at: datetime | None
) -> None:
    """Check the filing period. A result can still be appealed while it is evidence of an open prompt."""
    if known_at is None:
        return
    law = policy_at(legal_day(known_at), division_of(locked.subject.path))
    last_day = legal_day(known_at) + timedelta(days=law.integer("appeal.filing.days"))
    if legal_day(locked.at) <= last_day:
        return
    key = check_key(new.target_id)
    if new.target == "check" and any(key in prompt.evidence for prompt in assessment.open_prompts):
        return
    raise AppealTooLate(last_day=last_day)
