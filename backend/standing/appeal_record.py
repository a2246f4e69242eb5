"""Recording what standing must know of appeals (HN334-4.2): that one was filed, taken back, or decided.

The room of appeals keeps the case. What is recorded here blocks executions while it is open, and restores when it
is upheld; the rules refuse nothing that was let through here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.leave.law import law_at
from backend.roll_call.outcomes import outcome_of
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
from backend.standing.appeals import appeal_objection
from backend.standing.assessment import Held, facts_and_picture, hold, lawbook
from backend.standing.facts import Appeal
from backend.standing.keeping import keep, keep_current
from backend.standing.ledger import in_force
from backend.standing.rules import Picture
from backend.standing.sequence import check_key
from backend.standing.tables import AppealDecided, AppealFiled, AppealWithdrawn, StandingEntry

Target = Literal["check", "change", "gaokao"]
Finding = Literal["present", "excused"]


@dataclass(frozen=True, slots=True)
class NewAppeal:
    """Against what: a roll call's id, a ledger entry's id, or the year of a gaokao.

    `previous` is the rejected appeal on the same matter that this one carries up.
    """

    student_id: UUID
    target: Target
    target_id: str
    previous: UUID | None = None


@dataclass(frozen=True, slots=True)
class Filed:
    """An appeal on record, and the student whose turn its transaction holds."""

    appeal: AppealFiled
    held: Held
    picture: Picture
    """As it was before the appeal."""


async def hold_kept(
    session: AsyncSession, acting: Acting, student_id: UUID, at: datetime
) -> tuple[Held, Picture]:
    """Take the turn; for staff, what was due before is kept first. A student's scope may not keep it: a job does."""
    held = await hold(session, student_id, at)
    _, picture = await facts_and_picture(session, held)
    if acting.kind != "student":
        await keep(session, held, picture)
    return held, picture


async def keep_after(session: AsyncSession, acting: Acting, held: Held) -> None:
    """The consequences in the same transaction; of a student's own act a consumer keeps them."""
    await session.flush()
    if acting.kind != "student":
        await keep_current(session, held)


async def record_appeal(session: AsyncSession, acting: Acting, new: NewAppeal, at: datetime) -> Filed:
    """Take the student's turn and record the appeal of the caller's side.

    Raises `NotFound` for what the student never had, and an error of its own for each objection; what the room of
    appeals finds wrong after this takes the record back with its transaction. Consequences: `keep_after`.
    """
    held, picture = await hold_kept(session, acting, new.student_id, at)
    known_at = await _standing_against(session, held, picture, new)
    previous = await _previous(session, new)
    await _admissible(session, acting, held, new)
    _in_time(held, picture, new, previous.at if previous else known_at)
    row = AppealFiled(
        id=new_id(),
        school_id=held.subject.school_id,
        student_id=new.student_id,
        appellant=_side(acting),
        target=new.target,
        target_id=new.target_id,
        previous=new.previous,
        filed_by=acting.account_id,
        filed_at=held.at,
    )
    session.add(row)
    await session.flush()
    return Filed(row, held, picture)


async def record_withdrawal(
    session: AsyncSession, acting: Acting, held: Held, appeal: AppealFiled, reason: str | None
) -> None:
    """The appellant takes an open appeal back."""
    session.add(
        AppealWithdrawn(
            appeal_id=appeal.id,
            school_id=appeal.school_id,
            student_id=appeal.student_id,
            reason=reason,
            withdrawn_by=acting.account_id,
            at=held.at,
        )
    )
    await session.flush()


@dataclass(frozen=True, slots=True)
class Ruling:
    """How an appeal ends. `finding`: what an overturned result is to be instead."""

    upheld: bool
    finding: Finding
    reasons: str


async def record_ruling(
    session: AsyncSession, acting: Acting, held: Held, appeal: AppealFiled, ruling: Ruling
) -> AppealDecided:
    """The end of an open appeal; the primary key lets one of two deciders through."""
    row = AppealDecided(
        appeal_id=appeal.id,
        school_id=appeal.school_id,
        student_id=appeal.student_id,
        upheld=ruling.upheld,
        finding=ruling.finding,
        reasons=ruling.reasons,
        filed_by=appeal.filed_by,
        decided_by=acting.account_id,
        at=held.at,
    )
    session.add(row)
    await session.flush()
    return row


def _side(acting: Acting) -> str:
    return "student" if acting.kind == "student" else "school"


async def _standing_against(
    session: AsyncSession, held: Held, picture: Picture, new: NewAppeal
) -> datetime | None:
    """When what is appealed against came about; None for eligibility, which the room of appeals looks at."""
    match new.target:
        case "check":
            return await _result_at(session, held, UUID(new.target_id))
        case "change":
            return await _change_at(session, picture, new)
    return None


async def _result_at(session: AsyncSession, held: Held, roll_call_id: UUID) -> datetime:
    student_id = held.subject.student_id
    roll_call = await session.get(RollCall, roll_call_id)
    obligation = await session.get(Obligation, (roll_call_id, student_id))
    if (
        roll_call is None
        or roll_call.notify_at > held.at
        or obligation is None
        or obligation.duty == "exempt"
    ):
        raise NotFound
    outcome = await outcome_of(session, roll_call_id, student_id)
    if outcome is None:
        raise NoResultYet
    if outcome.outcome in {Outcome.PRESENT, Outcome.EXCUSED}:
        raise NothingToAppeal
    return outcome.at


async def _change_at(session: AsyncSession, picture: Picture, new: NewAppeal) -> datetime:
    entry = await session.get(StandingEntry, UUID(new.target_id))
    if entry is None or entry.student_id != new.student_id:
        raise NotFound
    if new.target_id not in {standing.entry_id for standing in in_force(picture.ledger)}:
        raise ChangeNotInForce
    return entry.recorded_at


async def _previous(session: AsyncSession, new: NewAppeal) -> AppealDecided | None:
    """The decision that rejected the earlier appeal."""
    if new.previous is None:
        return None
    decided = await session.get(AppealDecided, new.previous)
    if decided is None or decided.upheld:
        raise PreviousNotRejected
    return decided


async def _admissible(session: AsyncSession, acting: Acting, held: Held, new: NewAppeal) -> None:
    """The order of appeals, as the rules will see it."""
    facts, _ = await facts_and_picture(session, held)
    levels = lawbook(held.subject.path).on(legal_day(held.at)).appeal_levels
    appeal = Appeal(
        appeal_id=str(new_id()),
        appellant=_side(acting),
        target=new.target,
        target_id=new.target_id,
        filed_at=held.at,
        previous=str(new.previous) if new.previous else None,
    )
    match appeal_objection(appeal, facts, levels):
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


def _in_time(held: Held, picture: Picture, new: NewAppeal, known_at: datetime | None) -> None:
    """Within the days of policy; a result stays open to appeal while an open prompt rests on it."""
    if known_at is None:
        return
    law = law_at(legal_day(known_at), held.subject.path)
    last_day = legal_day(known_at) + timedelta(days=law.integer("appeal.filing.days"))
    if legal_day(held.at) <= last_day:
        return
    key = check_key(new.target_id)
    if new.target == "check" and any(key in prompt.evidence for prompt in picture.open_prompts):
        return
    raise AppealTooLate(last_day=last_day)
