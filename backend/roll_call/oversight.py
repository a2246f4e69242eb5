"""What staff do around a window: urge until it closes, void with reasons (HN334-3.4)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.paths import is_below
from backend.people.tables import ClassCounselor
from backend.roll_call.errors import UrgedRecently, UrgingClosed
from backend.roll_call.outcomes import (
    Decided,
    effective,
    load_term,
    lock_roll_call_exclusive,
    write_first_outcomes,
    write_outcome,
)
from backend.roll_call.policy import law_of
from backend.roll_call.rules import Outcome, Timing, timing
from backend.roll_call.tables import Obligation, OutcomeEntry, Reminder, RollCall, RollCallClass, RollCallStep


async def access_roll_call(session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime) -> RollCall:
    """The roll call as staff may see it: launched by them or below them, or addressed to them and announced."""
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None:
        raise NotFound
    secret = roll_call.notify_at > at and not is_below(roll_call.launcher_path, actor.org_path)
    if secret:
        raise NotFound
    return roll_call


def on_launching_side(roll_call: RollCall, actor: Actor) -> bool:
    """Whether the caller administers the launching authority or one above it: never the side that is checked."""
    return actor.role != "counselor" and is_below(roll_call.launcher_path, actor.org_path)


def overseen_classes(actor: Actor) -> Select[UUID] | None:
    """The classes a counselor looks after now; None where every visible class is overseen."""
    if actor.role != "counselor":
        return None
    return select(ClassCounselor.class_id).where(
        ClassCounselor.counselor_id == actor.counselor_id, ClassCounselor.until.is_(None)
    )


def still_waiting(roll_call_id: UUID) -> ColumnElement[bool]:
    """Of `obligation` rows: owed and not yet found present."""
    present = (
        effective()
        .where(
            OutcomeEntry.term_code == Obligation.term_code,
            OutcomeEntry.roll_call_id == Obligation.roll_call_id,
            OutcomeEntry.student_id == Obligation.student_id,
            OutcomeEntry.outcome == Outcome.PRESENT.value,
        )
        .exists()
    )
    return and_(
        Obligation.term_code == load_term(roll_call_id),
        Obligation.roll_call_id == roll_call_id,
        Obligation.duty == "owed",
        ~present,
    )


@dataclass(frozen=True, slots=True)
class ReminderSent:
    """How many students were reminded."""

    students: int


async def send_reminder(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, class_id: UUID | None, at: datetime
) -> ReminderSent:
    """Remind everyone of the caller's students who has not proven presence; refused once the window is closed.

    Urging goes by class: a class that was urged a short while ago, by whomever, is left out.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    law = law_of(roll_call)
    if actor.role not in law.texts("roll_call.urging.accounts") or actor.school_id is None:
        raise NotPermitted(
            reason_zh="仅学校管理员和辅导员可以督促", reason_en="only registrars and counselors urge students"
        )
    voided = await session.get(RollCallStep, (roll_call_id, "voided"))
    if voided is not None or timing(at, roll_call.opens_at, roll_call.deadline) is not Timing.IN_TIME:
        raise UrgingClosed
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"urge/{roll_call_id}/{actor.school_id}", 0))
    await session.execute(select(lock))
    classes = await _classes_to_remind(session, actor, roll_call, class_id, at)
    for each, students in classes.items():
        row = Reminder(
            id=new_id(),
            roll_call_id=roll_call_id,
            school_id=actor.school_id,
            term_code=roll_call.term_code,
            class_id=each,
            sent_by=actor.account_id,
            students=students,
            at=at,
        )
        await _remind_class(session, actor, row, at)
    return ReminderSent(sum(classes.values()))


async def _classes_to_remind(
    session: AsyncSession, actor: Actor, roll_call: RollCall, class_id: UUID | None, at: datetime
) -> dict[UUID, int]:
    """How many still wait in each of the caller's classes that was not urged a short while ago.

    Raises NotFound for a class that is not the caller's, UrgedRecently when that leaves nobody to urge.
    """
    mine = select(RollCallClass.class_id).where(
        RollCallClass.term_code == roll_call.term_code,
        RollCallClass.roll_call_id == roll_call.id,
        RollCallClass.school_id == actor.school_id,
    )
    overseen = overseen_classes(actor)
    if overseen is not None:
        mine = mine.where(RollCallClass.class_id.in_(overseen))
    if class_id is not None:
        mine = mine.where(RollCallClass.class_id == class_id)
    asked = set(await session.scalars(mine))
    if not asked:
        raise NotFound
    rows = await session.execute(
        select(Obligation.class_id, func.count())
        .where(
            still_waiting(roll_call.id),
            Obligation.school_id == actor.school_id,
            Obligation.class_id.in_(asked),
        )
        .group_by(Obligation.class_id)
    )
    waiting: dict[UUID, int] = {row[0]: row[1] for row in rows}
    interval = law_of(roll_call).duration("notice.urge_interval")
    recent = set(
        await session.scalars(
            select(Reminder.class_id).where(
                Reminder.term_code == roll_call.term_code,
                Reminder.roll_call_id == roll_call.id,
                Reminder.school_id == actor.school_id,
                Reminder.class_id.in_(asked),
                Reminder.at > at - interval,
            )
        )
    )
    if waiting and waiting.keys() <= recent:
        raise UrgedRecently(minutes=int(interval.total_seconds() // 60))
    return {each: students for each, students in waiting.items() if each not in recent}


async def _remind_class(session: AsyncSession, actor: Actor, row: Reminder, at: datetime) -> None:
    session.add(row)
    after = {"students": row.students, "class_id": str(row.class_id)}
    act = audit.Act("roll_call.remind", "roll_call", str(row.roll_call_id), actor.org_path, after=after)
    audit.record(session, act, at)
    payload = {
        "roll_call_id": str(row.roll_call_id),
        "school_id": str(row.school_id),
        "reminder_id": str(row.id),
        "class_id": str(row.class_id),
        "counselor_id": str(actor.counselor_id) if actor.counselor_id else None,
    }
    await outbox.emit(session, "RemindersSent", payload, at)


async def void_roll_call(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, reason: str, at: datetime
) -> RollCall:
    """Take a roll call back, with the reason. Those found present stay so; every other result becomes excused.

    Only the launching authority, or one above it, voids; a school its own.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    if not on_launching_side(roll_call, actor):
        raise NotPermitted(
            reason_zh="只有发起单位或其上级可以作废",
            reason_en="only the launcher or its superior voids a roll call",
        )
    await lock_roll_call_exclusive(session, roll_call_id)
    written = await session.scalar(
        insert(RollCallStep)
        .values(
            roll_call_id=roll_call_id,
            step="voided",
            acting_account=actor.account_id,
            reason=reason,
            figures=None,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(RollCallStep.step)
    )
    if written is None:
        raise Conflict(reason_zh="此次核验已经作废", reason_en="this roll call is voided already")
    await _excuse_all(session, roll_call, reason, at)
    act = audit.Act(
        "roll_call.void", "roll_call", str(roll_call_id), roll_call.launcher_path, after={"reason": reason}
    )
    audit.record(session, act, at)
    payload = {"roll_call_id": str(roll_call_id), "path": roll_call.launcher_path}
    await outbox.emit(session, "RollCallVoided", payload, at)
    return roll_call


async def _excuse_all(session: AsyncSession, roll_call: RollCall, reason: str, at: datetime) -> None:
    """First entries, all at once, where there was no result; a compensating entry for each that is taken back."""
    decided = Decided(Outcome.EXCUSED, "voided", "voiding", {"reason": reason})
    taken_back = await session.scalars(
        effective().where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call.id,
            OutcomeEntry.outcome.not_in([Outcome.PRESENT.value, Outcome.EXCUSED.value]),
        )
    )
    earlier = taken_back.all()
    await write_first_outcomes(session, roll_call, decided, at)
    for entry in earlier:
        obligation = await session.get_one(Obligation, (roll_call.id, entry.student_id))
        await write_outcome(session, roll_call, obligation, decided, at, replaces=entry)
