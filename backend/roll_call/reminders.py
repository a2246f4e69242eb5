"""Reminders that staff send during the window to students who are not present yet (HN334-3.4)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.roll_call.access import access_roll_call, select_counselor_classes
from backend.roll_call.errors import RemindedRecently, ReminderClosed
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

    Reminders go by class: a class that was reminded a short while ago, also by a colleague, is left out.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    policy = roll_call_policy(roll_call)
    if actor.role not in policy.texts("roll_call.urging.accounts") or actor.school_id is None:
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
    waiting_by_class = await _count_waiting_to_remind(session, actor, roll_call, class_id, at)
    for each, students in waiting_by_class.items():
        reminder = Reminder(
            id=new_id(),
            roll_call_id=roll_call_id,
            school_id=actor.school_id,
            term_code=roll_call.term_code,
            class_id=each,
            sent_by=actor.account_id,
            students=students,
            at=at,
        )
        await _record_reminder(session, actor, reminder, at)
    return ReminderSent(sum(waiting_by_class.values()))


async def _count_waiting_to_remind(
    session: AsyncSession, actor: Actor, roll_call: RollCall, class_id: UUID | None, at: datetime
) -> dict[UUID, int]:
    """Waiting students by class, for the caller's classes that were not reminded a short while ago.

    Raises `NotFound` for a class that is not the caller's, `RemindedRecently` if every class with waiting students was
    reminded a short while ago.
    """
    own_classes = await _load_own_classes(session, actor, roll_call, class_id)
    if not own_classes:
        raise NotFound
    rows = await session.execute(
        select(Obligation.class_id, func.count())
        .where(
            is_owed_and_not_present(roll_call.id),
            Obligation.school_id == actor.school_id,
            Obligation.class_id.in_(own_classes),
        )
        .group_by(Obligation.class_id)
    )
    waiting: dict[UUID, int] = {row[0]: row[1] for row in rows}
    interval = roll_call_policy(roll_call).duration("notice.urge_interval")
    reminded = await _load_reminded_classes(session, actor, roll_call, own_classes, at - interval)
    if waiting and waiting.keys() <= reminded:
        raise RemindedRecently(minutes=int(interval / timedelta(minutes=1)))
    return {each: students for each, students in waiting.items() if each not in reminded}


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


async def _load_reminded_classes(
    session: AsyncSession, actor: Actor, roll_call: RollCall, class_ids: Collection[UUID], since: datetime
) -> set[UUID | None]:
    return set(
        await session.scalars(
            select(Reminder.class_id).where(
                Reminder.term_code == roll_call.term_code,
                Reminder.roll_call_id == roll_call.id,
                Reminder.school_id == actor.school_id,
                Reminder.class_id.in_(class_ids),
                Reminder.at > since,
            )
        )
    )


async def _record_reminder(session: AsyncSession, actor: Actor, reminder: Reminder, at: datetime) -> None:
    session.add(reminder)
    after = {"students": reminder.students, "class_id": str(reminder.class_id)}
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
