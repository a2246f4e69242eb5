"""Notices about appeals to the student, the school and the authorities.

All functions run in the scope of the deciding unit, which includes every recipient.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal import events, texts
from backend.appeal.queries import (
    AppealView,
    has_restored_standing,
    last_day_for_next_level,
    select_appeals,
)
from backend.appeal.rules import AppealState
from backend.core.errors import NotFound
from backend.identity.recipients import (
    AUTHORITY_ROLES,
    counselors_of_student,
    registrars,
    select_staff,
    unit_staff,
)
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message, NoticeText, StudentRecipient
from backend.notice.service import post_notice, post_notices
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit
from backend.standing.store.tables import AppealFiled


async def notify_appeal_filed(session: AsyncSession, event: events.AppealFiled, at: datetime) -> None:
    """Notify the deciding unit of a new appeal, and confirm it to the student, the registrars and the counselor."""
    appeal = await _load_appeal(session, event.appeal_id)
    appellant, target = appeal.filed.appellant, appeal.filed.target
    to_unit = texts.filed_to_unit(appellant, target, appeal.due_at)
    await _notify_unit(session, appeal, _build_message(appeal, "appeal_to_decide", to_unit), at)
    confirmation = texts.filed_to_student(appellant, target, appeal.unit_name, appeal.due_at)
    await _notify_school_and_student(
        session, appeal, _build_message(appeal, "appeal_filed", confirmation), at
    )


async def notify_appeal_message(
    session: AsyncSession, event: events.AppealMessagePosted, at: datetime
) -> None:
    """Notify the other side of a new message."""
    appeal = await _load_appeal(session, event.appeal_id)
    message = _build_message(appeal, "appeal_message", texts.MESSAGE)
    if event.side == "appellant":
        await _notify_unit(session, appeal, message, at)
    elif appeal.filed.appellant == "student":
        await _notify_student(session, appeal, message, at)
    else:
        await post_notices(session, registrars(appeal.filed.school_id), message, IN_APP, at)


async def notify_appeal_withdrawn(session: AsyncSession, event: events.AppealWithdrawn, at: datetime) -> None:
    """Notify everyone who was notified of the filing, of a withdrawal or of the end of an appeal."""
    appeal = await _load_appeal(session, event.appeal_id)
    if appeal.state is AppealState.ENDED:
        message = _build_message(appeal, "appeal_ended", texts.ended_to_student(appeal.filed.target))
    else:
        message = _build_message(appeal, "appeal_withdrawn", texts.withdrawn_to_student(appeal.filed.target))
    await _notify_unit(session, appeal, message, at)
    await _notify_school_and_student(session, appeal, message, at)


async def notify_appeal_decided(session: AsyncSession, event: events.AppealDecided, at: datetime) -> None:
    """Notify the student, the registrars, the counselor and the authorities above the school of the decision."""
    appeal = await _load_appeal(session, event.appeal_id)
    school = await session.get_one(OrgUnit, appeal.filed.school_id)
    message = _build_message(appeal, "appeal_decided", await _decision_text(session, appeal, school.path))
    above = Account.org_path.in_(superior_paths(school.path)[1:])
    await post_notices(session, select_staff(above, Account.kind.in_(AUTHORITY_ROLES)), message, IN_APP, at)
    await _notify_school_and_student(session, appeal, message, at)


async def notify_appeal_due(session: AsyncSession, appeal_id: UUID, at: datetime) -> None:
    """Remind the deciding unit of an open appeal."""
    appeal = await _load_appeal(session, appeal_id)
    message = _build_message(appeal, "appeal_due", texts.due_to_unit(appeal.due_at))
    await _notify_unit(session, appeal, message, at)


async def notify_appeal_overdue(session: AsyncSession, appeal_id: UUID, at: datetime) -> None:
    """Notify the deciding unit and the authorities above it that the deadline has passed."""
    appeal = await _load_appeal(session, appeal_id)
    message = _build_message(appeal, "appeal_overdue", texts.overdue_to_unit(appeal.unit_name))
    above = Account.org_path.in_(superior_paths(appeal.case.unit_path))
    await post_notices(session, select_staff(above, Account.kind.in_(AUTHORITY_ROLES)), message, IN_APP, at)


async def _decision_text(session: AsyncSession, appeal: AppealView, school_path: str) -> NoticeText:
    """The decision and its effects."""
    target, decided = appeal.filed.target, appeal.decided
    assert decided is not None, "the event follows the decision"
    if not decided.upheld:
        until = last_day_for_next_level(appeal, school_path)
        return texts.rejected_to_student(target, appeal.unit_name, until)
    return texts.upheld_to_student(
        target,
        appeal.unit_name,
        finding=decided.finding if target == "check" else None,
        exam_year=appeal.filed.target_id if target == "gaokao" else None,
        restored=await has_restored_standing(session, appeal),
    )


def _build_message(appeal: AppealView, kind: str, text: NoticeText) -> Message:
    return Message.of(kind, appeal.filed.id, text, {"appeal_id": appeal.filed.id})


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


async def _notify_unit(session: AsyncSession, appeal: AppealView, message: Message, at: datetime) -> None:
    await post_notices(session, unit_staff(appeal.case.unit_id, AUTHORITY_ROLES), message, IN_APP, at)


async def _notify_student(session: AsyncSession, appeal: AppealView, message: Message, at: datetime) -> None:
    await post_notice(
        session, StudentRecipient(appeal.filed.student_id, appeal.filed.school_id), message, IN_APP, at
    )
