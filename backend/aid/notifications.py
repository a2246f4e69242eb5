"""Notices about aid. They never contain the reason, and notices to staff never name the student.

Other people may see the screen of a phone.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.events import AidDecided, AidReinstated, AidWithdrawn
from backend.aid.money import format_yuan
from backend.aid.queries import get_application
from backend.aid.tables import AidFiling
from backend.identity.recipients import registrars
from backend.notice.messages import Channel, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices

IN_APP: tuple[Channel, ...] = ("in_app",)
KINDS = {"grant": ("国家助学金", "grant"), "tuition_waiver": ("免学费", "tuition waiver")}


async def notify_application_decided(session: AsyncSession, event: AidDecided, at: datetime) -> None:
    """Notify the student of the decision on an application."""
    view = await get_application(session, event.application_id)
    application, decision = view.application, view.decision
    assert decision is not None
    zh, en = ("已批准", "approved") if decision.outcome == "approved" else ("未批准", "refused")
    kind_zh, kind_en = KINDS[application.kind]
    message = Message(
        kind="aid_decided",
        group_id=application.id,
        title_zh=f"资助申请{zh}",
        title_en=f"Application for aid {en}",
        body_zh=f"您 {application.term_code} 学期的{kind_zh}申请{zh}。各月金额和理由请在应用中查看。",
        body_en=f"Your {kind_en} for {application.term_code} was {en}. See the app for the monthly amounts and the reasons.",
        data={"application_id": str(application.id)},
    )
    recipient = StudentRecipient(application.student_id, application.school_id)
    await post_notice(session, recipient, message, IN_APP, at)


async def notify_aid_withdrawn(session: AsyncSession, event: AidWithdrawn, at: datetime) -> None:
    """Notify the student and the registrars that the unpaid part is withdrawn (HN334-4.1d)."""
    filing = await session.get_one(AidFiling, event.filing_id)
    amount = format_yuan(filing.fen)
    message = Message(
        kind="aid_withdrawn",
        group_id=filing.id,
        title_zh="资助撤回",
        title_en="Aid withdrawn",
        body_zh=(
            f"{filing.term_code} 学期尚未发放的资助共 {amount} 元已按规定撤回，已发放部分不变。"
            "原因和申诉办法请在应用中查看。"
        ),
        body_en=(
            f"The unpaid aid for {filing.term_code}, {amount} yuan, has been withdrawn. Payments already made are not"
            " affected. See the app for the reason and how to appeal."
        ),
        data={"filing_id": str(filing.id)},
    )
    await _notify_student(session, filing, message, at)
    message_to_staff = _build_staff_message(filing, ("撤回", "withdrawn", "Withdrawal"))
    await post_notices(session, registrars(filing.school_id), message_to_staff, IN_APP, at)


async def notify_aid_reinstated(session: AsyncSession, event: AidReinstated, at: datetime) -> None:
    """Notify the student and the registrars that the withdrawn aid is due again (HN334-4.2)."""
    filing = await session.get_one(AidFiling, event.filing_id)
    amount = format_yuan(filing.fen)
    message = Message(
        kind="aid_reinstated",
        group_id=filing.id,
        title_zh="资助恢复",
        title_en="Aid reinstated",
        body_zh=f"原撤回的 {filing.term_code} 学期资助共 {amount} 元已恢复，将继续发放。",
        body_en=f"The withdrawn aid for {filing.term_code}, {amount} yuan, has been reinstated and will be paid.",
        data={"filing_id": str(filing.id)},
    )
    await _notify_student(session, filing, message, at)
    message_to_staff = _build_staff_message(filing, ("恢复", "reinstated", "Reinstatement"))
    await post_notices(session, registrars(filing.school_id), message_to_staff, IN_APP, at)


def _build_staff_message(filing: AidFiling, terms: tuple[str, str, str]) -> Message:
    zh, en, title = terms
    amount = format_yuan(filing.fen)
    return Message(
        kind=f"aid_{filing.kind}_to_file",
        group_id=filing.id,
        title_zh=f"待报送的资助{zh}",
        title_en=f"{title} of aid to export",
        body_zh=f"一名学生 {filing.term_code} 学期的资助 {amount} 元已{zh}。请导出并报送资助管理部门。",
        body_en=f"{amount} yuan of a student's aid for {filing.term_code} has been {en}. Export and submit the filing.",
        data={"filing_id": str(filing.id)},
    )


async def _notify_student(session: AsyncSession, filing: AidFiling, message: Message, at: datetime) -> None:
    recipient = StudentRecipient(filing.student_id, filing.school_id)
    await post_notice(session, recipient, message, IN_APP, at)
