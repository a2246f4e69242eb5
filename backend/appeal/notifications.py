"""Notices about appeals to the student, the school and the authorities.

They contain no grounds and no name, because others may see the phone. All functions run in the scope of the deciding
unit, which includes every recipient.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal import events
from backend.appeal.queries import AppealView, select_appeals
from backend.appeal.rules import AppealState
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound
from backend.identity.recipients import (
    AUTHORITY_ROLES,
    counselors_of_student,
    registrars,
    select_staff,
    unit_staff,
)
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit
from backend.standing.engine.ledger import Cause
from backend.standing.store.tables import AppealFiled, StandingEntry

TARGETS = {
    "check": ("点名核验结果", "a roll call's result"),
    "change": ("学籍异动", "a standing change"),
    "gaokao": ("高考报考资格", "eligibility for the gaokao"),
}
FINDINGS = {
    "present": ("该次核验改为“到场”。", "The roll call now counts as attended."),
    "excused": ("该次核验不再计入。", "The roll call no longer counts."),
}


async def notify_appeal_filed(session: AsyncSession, event: events.AppealFiled, at: datetime) -> None:
    """Notify the deciding unit of a new appeal, and confirm it to the student, the registrars and the counselor."""
    appeal = await _load_appeal(session, event.appeal_id)
    zh, en = TARGETS[appeal.filed.target]
    by_zh, by_en = ("学生", "the student") if appeal.filed.appellant == "student" else ("学校", "the school")
    deadline_zh, deadline_en = _deadline_text(appeal)
    unit = _build_message(
        appeal,
        "appeal_to_decide",
        ("新的申诉待决定", "An appeal to decide"),
        (f"{by_zh}对{zh}提出申诉。{deadline_zh}", f"An appeal by {by_en} against {en}. {deadline_en}"),
    )
    await post_notices(session, unit_staff(appeal.case.unit_id, AUTHORITY_ROLES), unit, IN_APP, at)
    others = _build_message(
        appeal,
        "appeal_filed",
        ("申诉已受理", "Appeal received"),
        (
            f"{by_zh}对{zh}的申诉已送达{appeal.unit_name}。{deadline_zh}决定之前，相关提示不会自动执行。",
            f"The appeal by {by_en} against {en} is with {appeal.unit_name}. {deadline_en} No related prompt is executed before the decision.",
        ),
    )
    await _notify_school_and_student(session, appeal, others, at)


async def notify_appeal_message(
    session: AsyncSession, event: events.AppealMessagePosted, at: datetime
) -> None:
    """Notify the other event.side of a new message."""
    appeal = await _load_appeal(session, event.appeal_id)
    text = _build_message(
        appeal,
        "appeal_message",
        ("申诉有新消息", "A message in an appeal"),
        ("申诉中有新的消息，请在应用中查看。", "There is a new message in an appeal. Read it in the app."),
    )
    if event.side == "appellant":
        await post_notices(session, unit_staff(appeal.case.unit_id, AUTHORITY_ROLES), text, IN_APP, at)
    elif appeal.filed.appellant == "student":
        await _notify_student(session, appeal, text, at)
    else:
        await post_notices(session, registrars(appeal.filed.school_id), text, IN_APP, at)


async def notify_appeal_withdrawn(session: AsyncSession, event: events.AppealWithdrawn, at: datetime) -> None:
    """Notify everyone who was notified of the filing, of a withdrawal or of the end of an appeal."""
    appeal = await _load_appeal(session, event.appeal_id)
    zh, en = TARGETS[appeal.filed.target]
    if appeal.state is AppealState.ENDED:
        text = _build_message(
            appeal,
            "appeal_ended",
            ("申诉已终止", "Appeal ended"),
            (
                f"对{zh}的申诉已自行终止：该异动已另行撤销，无须再作决定。",
                f"The appeal against {en} ended by itself: the change was reversed in another way.",
            ),
        )
        await post_notices(session, unit_staff(appeal.case.unit_id, AUTHORITY_ROLES), text, IN_APP, at)
        await _notify_school_and_student(session, appeal, text, at)
        return
    text = _build_message(
        appeal,
        "appeal_withdrawn",
        ("申诉已撤回", "Appeal withdrawn"),
        (
            f"对{zh}的申诉已由申诉方撤回，原结果继续有效。",
            f"The appellant withdrew the appeal against {en}. The original result stays in effect.",
        ),
    )
    await post_notices(session, unit_staff(appeal.case.unit_id, AUTHORITY_ROLES), text, IN_APP, at)
    await _notify_school_and_student(session, appeal, text, at)


async def notify_appeal_decided(session: AsyncSession, event: events.AppealDecided, at: datetime) -> None:
    """Notify the student, the registrars, the counselor and the authorities above the school of the decision."""
    appeal = await _load_appeal(session, event.appeal_id)
    zh, en = await _outcome_text(session, appeal)
    title = ("申诉成立", "Appeal upheld") if _is_upheld(appeal) else ("申诉被驳回", "Appeal rejected")
    text = _build_message(appeal, "appeal_decided", title, (zh, en))
    school = await session.get_one(OrgUnit, appeal.filed.school_id)
    above = Account.org_path.in_(superior_paths(school.path)[1:])
    await post_notices(session, select_staff(above, Account.kind.in_(AUTHORITY_ROLES)), text, IN_APP, at)
    await _notify_school_and_student(session, appeal, text, at)


async def notify_appeal_due(session: AsyncSession, appeal_id: UUID, at: datetime) -> None:
    """Remind the deciding unit of an open appeal."""
    appeal = await _load_appeal(session, appeal_id)
    deadline_zh, deadline_en = _deadline_text(appeal)
    text = _build_message(
        appeal,
        "appeal_due",
        ("申诉即将到期", "An appeal is due soon"),
        (f"有一件申诉尚未决定。{deadline_zh}", f"An appeal has not been decided yet. {deadline_en}"),
    )
    await post_notices(session, unit_staff(appeal.case.unit_id, AUTHORITY_ROLES), text, IN_APP, at)


async def notify_appeal_overdue(session: AsyncSession, appeal_id: UUID, at: datetime) -> None:
    """Notify the deciding unit and the authorities above it that the deadline has passed."""
    appeal = await _load_appeal(session, appeal_id)
    text = _build_message(
        appeal,
        "appeal_overdue",
        ("申诉逾期未决定", "An appeal is overdue"),
        (
            f"{appeal.unit_name}受理的一件申诉已超过决定期限，请尽快办理。逾期期间不执行相关提示。",
            f"An appeal with {appeal.unit_name} is past its deadline. Decide it as soon as possible. Related prompts are not executed until then.",
        ),
    )
    above = Account.org_path.in_(superior_paths(appeal.case.unit_path))
    await post_notices(session, select_staff(above, Account.kind.in_(AUTHORITY_ROLES)), text, IN_APP, at)


async def _outcome_text(session: AsyncSession, appeal: AppealView) -> tuple[str, str]:
    """The decision and its effects as text."""
    zh, en = TARGETS[appeal.filed.target]
    if not _is_upheld(appeal):
        return (
            f"{appeal.unit_name}驳回了对{zh}的申诉，理由见应用。如不服，可在期限内向上一级申诉一次。",
            f"{appeal.unit_name} rejected the appeal against {en} (reasons in the app). You can appeal to the next level once, within the deadline.",
        )
    text_zh, text_en = (
        f"{appeal.unit_name}认定对{zh}的申诉成立。",
        f"{appeal.unit_name} upheld the appeal against {en}.",
    )
    if appeal.filed.target == "check" and appeal.decided is not None:
        more_zh, more_en = FINDINGS[appeal.decided.finding]
        text_zh, text_en = (
            f"{text_zh}{more_zh}未核验次数已重新计算。",
            f"{text_en} {more_en} Misses are recounted.",
        )
    if appeal.filed.target == "gaokao":
        year = appeal.filed.target_id
        text_zh, text_en = (
            f"{text_zh}具备 {year} 年报考资格。",
            f"{text_en} Eligible for the gaokao of {year}.",
        )
    if await _has_restored_change(session, appeal):
        text_zh += "相关异动已撤销，学籍恢复原状；据此撤回的资助将恢复。"
        text_en += " The change is reversed and the standing is restored; aid withdrawn because of it will be restored too."
    return text_zh, text_en


async def _has_restored_change(session: AsyncSession, appeal: AppealView) -> bool:
    restored = select(StandingEntry.id).where(
        StandingEntry.student_id == appeal.filed.student_id,
        StandingEntry.cause == Cause.APPEAL,
        StandingEntry.caused_by == str(appeal.filed.id),
    )
    return await session.scalar(restored.limit(1)) is not None


def _is_upheld(appeal: AppealView) -> bool:
    return appeal.decided is not None and appeal.decided.upheld


def _deadline_text(appeal: AppealView) -> tuple[str, str]:
    if appeal.due_at is None:
        return (
            "决定期限待工作日历载入后计算。",
            "The deadline is computed once the working calendar is loaded.",
        )
    end = appeal.due_at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")
    return f"应在 {end} 前决定。", f"The deadline is {end}."


def _build_message(appeal: AppealView, kind: str, title: tuple[str, str], body: tuple[str, str]) -> Message:
    return Message(
        kind=kind,
        group_id=appeal.filed.id,
        title_zh=title[0],
        title_en=title[1],
        body_zh=body[0],
        body_en=body[1],
        data={"appeal_id": str(appeal.filed.id)},
    )


async def _load_appeal(session: AsyncSession, appeal_id: UUID) -> AppealView:
    row = (await session.execute(select_appeals().where(AppealFiled.id == appeal_id))).one_or_none()
    if row is None:
        raise NotFound
    return AppealView(*row)


async def _notify_school_and_student(
    session: AsyncSession, appeal: AppealView, message: Message, at: datetime
) -> None:
    await _notify_student(session, appeal, message, at)
    await post_notices(session, registrars(appeal.filed.school_id), message, IN_APP, at)
    await post_notices(session, counselors_of_student(appeal.filed.student_id), message, IN_APP, at)


async def _notify_student(session: AsyncSession, appeal: AppealView, message: Message, at: datetime) -> None:
    await post_notice(
        session, StudentRecipient(appeal.filed.student_id, appeal.filed.school_id), message, IN_APP, at
    )
