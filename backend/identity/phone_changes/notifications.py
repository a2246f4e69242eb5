"""Notices of phone changes.

The number on the roll may have passed to a stranger, so the SMS to it contains no name and no code.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.phone_changes.events import PhoneChangeDecided, PhoneChangesProposed
from backend.identity.phone_changes.rules import PhoneChangeState
from backend.identity.recipients import AUTHORITY_ROLES, registrars, select_staff
from backend.identity.tables import Account, PhoneChange
from backend.notice.messages import IN_APP, IN_APP_AND_SMS, Message, SmsText, StudentRecipient
from backend.notice.service import post_notice, post_notices, post_sms
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit

WARNING = SmsText("phone_change")
"""本号码在学籍系统中登记为学生联系电话，学校正申请改为其他号码。非本人要求请联系学校；不认识请忽略。"""

STATE_WORDS = {
    PhoneChangeState.CONFIRMED: ("已由学生本人确认并生效", "was confirmed by the student and is in effect"),
    PhoneChangeState.APPROVED: (
        "已由上级教育部门核准并生效",
        "was approved by the superior and is in effect",
    ),
    PhoneChangeState.REFUSED: ("未获同意，号码不变", "was refused; the number stays as it was"),
    PhoneChangeState.WITHDRAWN: (
        "已由学校撤回，号码不变",
        "was withdrawn by the school; the number stays as it was",
    ),
}


async def warn_proposed(session: AsyncSession, event: PhoneChangesProposed, at: datetime) -> None:
    """Ask the students in the app for an answer, and warn the old numbers by SMS."""
    message = Message(
        kind="phone_change_proposed",
        group_id=event.batch_id,
        title_zh="学校申请变更您的联系电话",
        title_en="Your school wants to change your phone number",
        body_zh="学校申请变更您的联系电话，您确认前不生效。请在“联系电话变更”中核对新号码后确认；"
        "不是您的号码，请拒绝并告知上级教育部门。",
        body_en="Your school wants to change your phone number. It takes no effect until you confirm it: check the new number"
        " in the app and confirm it. If it is not yours, refuse it and tell the authority above your school.",
        sms=WARNING,
    )
    students = select(
        PhoneChange.student_id, PhoneChange.school_id, PhoneChange.old_phone.label("phone")
    ).where(PhoneChange.batch_id == event.batch_id)
    await post_notices(session, students, message, IN_APP_AND_SMS, at)


async def notify_superior_proposed(session: AsyncSession, event: PhoneChangesProposed, at: datetime) -> None:
    """Tell the superior how many numbers its school wants to change."""
    school = await session.get_one(OrgUnit, event.school_id)
    message = Message(
        kind="phone_changes_proposed",
        group_id=event.batch_id,
        title_zh="学校申请变更学生联系电话",
        title_en="A school wants to change phone numbers of students",
        body_zh=f"{school.name}申请变更 {event.students} 名已绑定手机学生的联系电话。学生本人不能确认的，由您单位核实后核准。",
        body_en=f"{school.name} wants to change the phone numbers of {event.students} students who have bound a phone."
        " For students who cannot confirm the change, your unit verifies and approves it.",
        data={"school_id": str(event.school_id)},
    )
    superiors = select_staff(
        Account.kind.in_(AUTHORITY_ROLES), Account.org_path == superior_paths(event.path)[1]
    )
    await post_notices(session, superiors, message, IN_APP, at)


async def notify_decided(session: AsyncSession, event: PhoneChangeDecided, at: datetime) -> None:
    """Tell the student and the registrars how a proposal ended; a replaced one has a notice of its own."""
    state = PhoneChangeState(event.state)
    if state not in STATE_WORDS:
        return
    zh, en = STATE_WORDS[state]
    message = Message(
        kind=f"phone_change_{state.value}",
        group_id=event.change_id,
        title_zh="联系电话变更结果",
        title_en="The change of your phone number",
        body_zh=f"联系电话变更{zh}。",
        body_en=f"The change of the phone number {en}.",
        data={"change_id": str(event.change_id)},
    )
    await post_notice(session, StudentRecipient(event.student_id, event.school_id), message, IN_APP, at)
    await post_notices(session, registrars(event.school_id), message, IN_APP, at)


async def warn_old_number(
    session: AsyncSession, recipient: StudentRecipient, group_id: UUID, at: datetime
) -> None:
    """Warn a number that a correction replaced."""
    message = Message(
        kind="phone_replaced",
        group_id=group_id,
        title_zh="联系电话变更提醒",
        title_en="Change of a phone number",
        body_zh="已向原联系电话发送变更提醒短信。",
        body_en="A warning was sent to the earlier phone number by SMS.",
        sms=WARNING,
    )
    await post_sms(session, recipient, message, at)
