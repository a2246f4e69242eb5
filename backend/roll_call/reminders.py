"""Reminders that staff send during the window to students who are not present yet (HN334-3.4)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.bulk import RowResult
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.roll_call.access import access_roll_call, select_counselor_classes
from backend.roll_call.errors import NoReminderNeeded, RemindedRecently, ReminderClosed
from backend.roll_call.events import RemindersSent
from backend.roll_call.outcomes import is_owed_and_not_present
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.rules import Timing, classify_timing
from backend.roll_call.tables import Obligation, Reminder, RollCall, RollCallClass, RollCallStep


@dataclass(frozen=True, slots=True)
class ReminderSent:
    """How many students are reminded."""

    students: int


async def send_reminder(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, class_id: UUID | None, at: datetime
) -> ReminderSent:
    """Remind the caller's students who are not present yet. Refused outside the window.

    Reminders go by class: a class that was reminded a short while ago, also by a colleague, is left out, and so is a
    student who was reminded alone.
    """
    roll_call = await _open_for_reminders(session, actor, roll_call_id, at)
    own_classes = await _load_own_classes(session, actor, roll_call, class_id)
    if not own_classes:
        raise NotFound
    recent = await _load_recent_reminders(session, actor, roll_call, at)
    rows = await session.execute(
        select(Obligation.class_id, func.count())
        .where(
            is_owed_and_not_present(roll_call.id),
            Obligation.school_id == actor.school_id,
            Obligation.class_id.in_(own_classes),
            Obligation.student_id.not_in(recent.student_ids),
        )
        .group_by(Obligation.class_id)
    )
    waiting: dict[UUID, int] = {row[0]: row[1] for row in rows}
    if waiting and waiting.keys() <= recent.class_ids:
        raise recent.error
    for each in waiting.keys() - recent.class_ids:
        await _record_reminder(session, actor, roll_call, _Reminded(each, waiting[each]), at)
    return ReminderSent(sum(waiting[each] for each in waiting.keys() - recent.class_ids))


async def remind_each_student(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, student_ids: Sequence[UUID], at: datetime
) -> list[RowResult]:
    """Remind these students, with one result for each. Outside the window all of them are refused, as in `send_reminder`.

    A student outside the caller's classes is `NotFound`. One who is present or owes no presence needs no reminder, and
    one who was reminded a short while ago, alone or with the class, is not reminded again.
    """
    roll_call = await _open_for_reminders(session, actor, roll_call_id, at)
    recent = await _load_recent_reminders(session, actor, roll_call, at)
    rows = await session.execute(
        select(Obligation.student_id, Obligation.class_id, is_owed_and_not_present(roll_call.id)).where(
            Obligation.term_code == roll_call.term_code,
            Obligation.roll_call_id == roll_call.id,
            Obligation.school_id == actor.school_id,
            Obligation.class_id.in_(await _load_own_classes(session, actor, roll_call, None)),
            Obligation.student_id.in_(student_ids),
        )
    )
    found = {student_id: (class_id, waits) for student_id, class_id, waits in rows}
    results: list[RowResult] = []
    reminded: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for student_id in dict.fromkeys(student_ids):
        class_id, waits = found.get(student_id, (None, False))
        error: DomainError | None = None
        if class_id is None:
            error = NotFound()
        elif not waits:
            error = NoReminderNeeded()
        elif class_id in recent.class_ids or student_id in recent.student_ids:
            error = recent.error
        else:
            reminded[class_id].append(student_id)
        results.append(RowResult(student_id, changed=error is None, error=error))
    for class_id, those in reminded.items():
        await _record_reminder(session, actor, roll_call, _Reminded(class_id, len(those), those), at)
    return results


async def _open_for_reminders(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> RollCall:
    """Load the roll call and serialise the reminders of the school. Raises unless the caller may send reminders now."""
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    accounts = roll_call_policy(roll_call).texts("roll_call.urging.accounts")
    if actor.role not in accounts or actor.school_id is None:
        raise NotPermitted(
            reason_zh="仅学校管理员和辅导员可以督促",
            reason_en="only registrars and counselors may send reminders",
        )
    voided = await session.get(RollCallStep, (roll_call_id, "voided"))
    if (
        voided is not None
        or classify_timing(at, roll_call.opens_at, roll_call.deadline) is not Timing.IN_TIME
    ):
        raise ReminderClosed
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"urge/{roll_call_id}/{actor.school_id}", 0))
    await session.execute(select(lock))
    return roll_call


async def _load_own_classes(
    session: AsyncSession, actor: Actor, roll_call: RollCall, class_id: UUID | None
) -> set[UUID]:
    """The classes of the audience that the caller is responsible for, or the one requested if it is among them."""
    own_classes = select(RollCallClass.class_id).where(
        RollCallClass.term_code == roll_call.term_code,
        RollCallClass.roll_call_id == roll_call.id,
        RollCallClass.school_id == actor.school_id,
    )
    counselor_classes = select_counselor_classes(actor)
    if counselor_classes is not None:
        own_classes = own_classes.where(RollCallClass.class_id.in_(counselor_classes))
    if class_id is not None:
        own_classes = own_classes.where(RollCallClass.class_id == class_id)
    return set(await session.scalars(own_classes))


@dataclass(frozen=True, slots=True)
class _RecentReminders:
    """The classes and the single students of the school that were reminded within the interval."""

    class_ids: set[UUID]
    student_ids: set[UUID]
    interval: timedelta

    @property
    def error(self) -> RemindedRecently:
        return RemindedRecently(minutes=int(self.interval / timedelta(minutes=1)))


async def _load_recent_reminders(
    session: AsyncSession, actor: Actor, roll_call: RollCall, at: datetime
) -> _RecentReminders:
    interval = roll_call_policy(roll_call).duration("notice.urge_interval")
    rows = await session.execute(
        select(Reminder.class_id, Reminder.student_ids).where(
            Reminder.term_code == roll_call.term_code,
            Reminder.roll_call_id == roll_call.id,
            Reminder.school_id == actor.school_id,
            Reminder.at > at - interval,
        )
    )
    class_ids: set[UUID] = set()
    student_ids: set[UUID] = set()
    for class_id, only in rows:
        if only is not None:
            student_ids.update(only)
        elif class_id is not None:
            class_ids.add(class_id)
    return _RecentReminders(class_ids, student_ids, interval)


@dataclass(frozen=True, slots=True)
class _Reminded:
    """The class, how many students are reminded, and which if not all who wait."""

    class_id: UUID
    students: int
    only: list[UUID] | None = None


async def _record_reminder(
    session: AsyncSession, actor: Actor, roll_call: RollCall, reminded: _Reminded, at: datetime
) -> None:
    assert actor.school_id is not None
    reminder = Reminder(
        id=new_id(),
        roll_call_id=roll_call.id,
        school_id=actor.school_id,
        term_code=roll_call.term_code,
        class_id=reminded.class_id,
        student_ids=reminded.only,
        sent_by=actor.account_id,
        students=reminded.students,
        at=at,
    )
    session.add(reminder)
    after: dict[str, Any] = {"students": reminder.students, "class_id": str(reminder.class_id)}
    if reminded.only is not None:
        after["student_ids"] = [str(each) for each in reminded.only]
    act = audit.Act("roll_call.remind", "roll_call", str(reminder.roll_call_id), actor.org_path, after=after)
    audit.record(session, act, at)
    event = RemindersSent(
        roll_call_id=reminder.roll_call_id,
        school_id=reminder.school_id,
        reminder_id=reminder.id,
        class_id=reminder.class_id,
        counselor_id=actor.counselor_id,
    )
    await outbox.emit(session, event, at)
