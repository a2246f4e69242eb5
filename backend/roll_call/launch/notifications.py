"""Notices of a roll call to registrars, counselors and students, in the transaction that records them (HN334-3.4)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, null, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound
from backend.identity.tables import Account
from backend.notice.messages import Channel, Message, SmsText
from backend.notice.service import post_notices
from backend.people.tables import ClassCounselor, Student
from backend.roll_call.outcomes import load_term, lock_roll_call_shared
from backend.roll_call.oversight import still_waiting
from backend.roll_call.policy import arrival_jitter_of, law_of
from backend.roll_call.rules import SPOT_CHECK
from backend.roll_call.tables import (
    Obligation,
    Reminder,
    RollCall,
    RollCallClass,
    RollCallSchool,
    RollCallStep,
)

IN_APP: tuple[Channel, ...] = ("in_app",)
_KIND_ZH = {
    "spot_check": "学籍核验",
    "registration": "注册核验",
    "rehearsal": "联调测试",
    "school_own": "校内点名",
}


async def announce(session: AsyncSession, roll_call_id: UUID, at: datetime) -> int:
    """Send the notices of a launched roll call, once and when they are due; returns how many people were addressed.

    One that was voided, settled or closed before its notice is announced to nobody: nobody could heed it.
    """
    roll_call = await session.get(RollCall, roll_call_id)
    if roll_call is None:
        raise NotFound
    await lock_roll_call_shared(session, roll_call_id)
    ended = exists().where(
        RollCallStep.roll_call_id == roll_call_id, RollCallStep.step.in_(("voided", "settled"))
    )
    step = (
        insert(RollCallStep)
        .values(
            roll_call_id=roll_call_id,
            step="announced",
            acting_account=None,
            reason=None,
            figures=None,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(RollCallStep.step)
    )
    is_due = roll_call.notify_at <= at <= roll_call.deadline
    if not is_due or await session.scalar(select(ended)) or await session.scalar(step) is None:
        return 0
    recipients = law_of(roll_call).texts("roll_call.notice.recipients")
    channels: tuple[Channel, ...] = ("in_app", "sms") if roll_call.kind == SPOT_CHECK else IN_APP
    told = 0
    if "student" in recipients:
        asked = (
            select(Obligation.student_id, Obligation.school_id, Student.phone)
            .join(Student, Student.id == Obligation.student_id)
            .where(
                Obligation.term_code == roll_call.term_code,
                Obligation.roll_call_id == roll_call_id,
                Obligation.duty != "exempt",
            )
        )
        told += await post_notices(
            session, asked, _to_students(roll_call), channels, at, arrival_jitter_of(roll_call)
        )
    staff = _to_staff(roll_call)
    if "registrar" in recipients:
        told += await post_notices(session, _registrars(roll_call_id), staff, IN_APP, at)
    if "counselor" in recipients:
        told += await post_notices(session, _counselors(roll_call_id), staff, IN_APP, at)
    return told


def _addressed_schools(roll_call_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call_id)


def _registrars(roll_call_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(
        Account.id.label("account_id"), Account.org_path, Account.school_id, null().label("phone")
    ).where(
        Account.kind == "registrar",
        Account.status == "active",
        Account.school_id.in_(_addressed_schools(roll_call_id)),
    )


def _counselors(roll_call_id: UUID) -> Select[*tuple[Any, ...]]:
    concerned = exists().where(
        ClassCounselor.counselor_id == Account.counselor_id,
        ClassCounselor.until.is_(None),
        RollCallClass.class_id == ClassCounselor.class_id,
        RollCallClass.term_code == load_term(roll_call_id),
        RollCallClass.roll_call_id == roll_call_id,
        RollCallClass.school_id == Account.school_id,
    )
    return select(
        Account.id.label("account_id"), Account.org_path, Account.school_id, null().label("phone")
    ).where(Account.kind == "counselor", Account.status == "active", concerned)


def _times(roll_call: RollCall) -> tuple[str, str]:
    form = "%Y-%m-%d %H:%M"
    return (
        roll_call.opens_at.astimezone(LEGAL_ZONE).strftime(form),
        roll_call.deadline.astimezone(LEGAL_ZONE).strftime(form),
    )


def _to_students(roll_call: RollCall) -> Message:
    opens, closes = _times(roll_call)
    name = _KIND_ZH[roll_call.kind]
    zh = f"{name}“{roll_call.title}”：请于 {opens} 至 {closes} 在学校备案办学地址内打开应用完成核验。"
    en = f"Roll call “{roll_call.title}”: verify in the app inside your school's filed address, {opens} to {closes}."
    return Message(
        kind="roll_call_launched",
        group_id=roll_call.id,
        title_zh=f"{name}通知",
        title_en="Roll call",
        body_zh=zh,
        body_en=en,
        data={"roll_call_id": str(roll_call.id)},
        sms=SmsText("notice", {"title": roll_call.title[:20], "until": closes}),
    )


def _to_staff(roll_call: RollCall) -> Message:
    opens, closes = _times(roll_call)
    name = _KIND_ZH[roll_call.kind]
    return Message(
        kind="roll_call_launched_staff",
        group_id=roll_call.id,
        title_zh=f"{name}通知",
        title_en="Roll call",
        body_zh=f"{name}“{roll_call.title}”将于 {opens} 至 {closes} 进行，请督促所负责的学生按时完成。",
        body_en=f"Roll call “{roll_call.title}” runs from {opens} to {closes}; please see that your students take part.",
        data={"roll_call_id": str(roll_call.id)},
    )


async def remind(session: AsyncSession, reminder_id: UUID, counselor_id: UUID | None, at: datetime) -> int:
    """Send the reminders of one urging to those who are still waiting now; to nobody once the window is closed."""
    urge = await session.get_one(Reminder, reminder_id)
    roll_call = await session.get_one(RollCall, urge.roll_call_id)
    voided = await session.get(RollCallStep, (roll_call.id, "voided"))
    if voided is not None or at > roll_call.deadline:
        return 0
    _, closes = _times(roll_call)
    waiting = (
        select(Obligation.student_id, Obligation.school_id, Student.phone)
        .join(Student, Student.id == Obligation.student_id)
        .where(still_waiting(roll_call.id), Obligation.school_id == urge.school_id)
    )
    if urge.class_id is not None:
        waiting = waiting.where(Obligation.class_id == urge.class_id)
    if counselor_id is not None:
        own = select(ClassCounselor.class_id).where(
            ClassCounselor.counselor_id == counselor_id, ClassCounselor.until.is_(None)
        )
        waiting = waiting.where(Obligation.class_id.in_(own))
    message = Message(
        kind="roll_call_urged",
        group_id=roll_call.id,
        title_zh="核验提醒",
        title_en="Reminder",
        body_zh=f"您尚未完成核验“{roll_call.title}”，截止时间 {closes}。",
        body_en=f"You have not yet taken part in “{roll_call.title}”; it closes at {closes}.",
        data={"roll_call_id": str(roll_call.id)},
        sms=SmsText("notice", {"title": roll_call.title[:20], "until": closes}),
    )
    return await post_notices(session, waiting, message, ("in_app", "sms"), at)


async def tell_voided(session: AsyncSession, roll_call_id: UUID, at: datetime) -> int:
    """Tell everyone who was told of the roll call that it was voided, with the reason; nobody of a secret one."""
    roll_call = await session.get_one(RollCall, roll_call_id)
    if await session.get(RollCallStep, (roll_call_id, "announced")) is None:
        return 0
    voided = await session.get_one(RollCallStep, (roll_call_id, "voided"))
    message = Message(
        kind="roll_call_voided",
        group_id=roll_call.id,
        title_zh="核验作废",
        title_en="Roll call voided",
        body_zh=f"核验“{roll_call.title}”已作废：{voided.reason}。您无须操作，也不会因此记为未核验。",
        body_en=f"Roll call “{roll_call.title}” was voided: {voided.reason}. You need do nothing; nobody missed it.",
        data={"roll_call_id": str(roll_call.id)},
    )
    asked = select(Obligation.student_id, Obligation.school_id).where(
        Obligation.term_code == roll_call.term_code,
        Obligation.roll_call_id == roll_call_id,
        Obligation.duty != "exempt",
    )
    told = await post_notices(session, asked, message, IN_APP, at)
    for staff in (_registrars(roll_call_id), _counselors(roll_call_id)):
        told += await post_notices(session, staff, message, IN_APP, at)
    return told


async def tell_extended(session: AsyncSession, roll_call_id: UUID, at: datetime) -> int:
    """Tell everyone who still owes a check-in until when it is open now, and the staff; nobody once that is over."""
    roll_call = await session.get_one(RollCall, roll_call_id)
    if await session.get(RollCallStep, (roll_call_id, "announced")) is None or at > roll_call.deadline:
        return 0
    _, closes = _times(roll_call)
    message = Message(
        kind="roll_call_extended",
        group_id=roll_call.id,
        title_zh="核验时间延长",
        title_en="Roll call extended",
        body_zh=f"因系统中断，核验“{roll_call.title}”延长至 {closes}。尚未完成的请在此之前完成。",
        body_en=f"After an outage of ours, roll call “{roll_call.title}” stays open until {closes}.",
        data={"roll_call_id": str(roll_call.id)},
        sms=SmsText("notice", {"title": roll_call.title[:20], "until": closes}),
    )
    waiting = (
        select(Obligation.student_id, Obligation.school_id, Student.phone)
        .join(Student, Student.id == Obligation.student_id)
        .where(still_waiting(roll_call.id))
    )
    channels: tuple[Channel, ...] = ("in_app", "sms") if roll_call.kind == SPOT_CHECK else IN_APP
    told = await post_notices(session, waiting, message, channels, at)
    for staff in (_registrars(roll_call_id), _counselors(roll_call_id)):
        told += await post_notices(session, staff, message, IN_APP, at)
    return told
