"""Notices of aid. To staff they carry no name, to nobody why: a phone may lie open."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, null, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.export_file import yuan
from backend.aid.queries import application_of
from backend.aid.tables import AidFiling
from backend.identity.tables import Account
from backend.notice.messages import Channel, Message, StudentRecipient
from backend.notice.service import post_notice, post_notices

IN_APP: tuple[Channel, ...] = ("in_app",)
KINDS = {"grant": ("国家助学金", "grant"), "tuition_waiver": ("免学费", "tuition waiver")}


async def tell_decided(session: AsyncSession, application_id: UUID, at: datetime) -> None:
    """The student learns the answer to an application."""
    found = await application_of(session, application_id)
    application, decision = found.application, found.decision
    assert decision is not None
    zh, en = ("已批准", "approved") if decision.outcome == "approved" else ("未批准", "refused")
    kind_zh, kind_en = KINDS[application.kind]
    message = Message(
        kind="aid_decided",
        group_id=application.id,
        title_zh=f"资助申请{zh}",
        title_en=f"Application for aid {en}",
        body_zh=f"您 {application.term_code} 学期的{kind_zh}申请{zh}。各月金额和理由请在应用中查看。",
        body_en=f"Your {kind_en} for {application.term_code} was {en}. See the app for months and reasons.",
        data={"application_id": str(application.id)},
    )
    recipient = StudentRecipient(application.student_id, application.school_id)
    await post_notice(session, recipient, message, IN_APP, at)


async def tell_withdrawn(session: AsyncSession, filing_id: UUID, at: datetime) -> None:
    """Student and registrars learn that exactly the unpaid part is being withdrawn (HN334-4.1d)."""
    filing = await session.get_one(AidFiling, filing_id)
    amount = yuan(filing.fen)
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
            f"{amount} yuan of aid for {filing.term_code} that were not paid yet are withdrawn; what was paid stays."
            " See the app for why, and how to appeal."
        ),
        data={"filing_id": str(filing.id)},
    )
    await _tell_student(session, filing, message, at)
    text = ("撤回", "withdrawn", "Withdrawal")
    await post_notices(session, _registrars(filing.school_id), _staff_text(filing, text), IN_APP, at)


async def tell_reinstated(session: AsyncSession, filing_id: UUID, at: datetime) -> None:
    """Student and registrars learn that what was withdrawn is due again (HN334-4.2)."""
    filing = await session.get_one(AidFiling, filing_id)
    amount = yuan(filing.fen)
    message = Message(
        kind="aid_reinstated",
        group_id=filing.id,
        title_zh="资助恢复",
        title_en="Aid restored",
        body_zh=f"原撤回的 {filing.term_code} 学期资助共 {amount} 元已恢复，将继续发放。",
        body_en=f"{amount} yuan of aid for {filing.term_code} that were withdrawn are restored and will be paid.",
        data={"filing_id": str(filing.id)},
    )
    await _tell_student(session, filing, message, at)
    text = ("恢复", "restored", "Reinstatement")
    await post_notices(session, _registrars(filing.school_id), _staff_text(filing, text), IN_APP, at)


def _staff_text(filing: AidFiling, words: tuple[str, str, str]) -> Message:
    zh, en, title = words
    amount = yuan(filing.fen)
    return Message(
        kind=f"aid_{filing.kind}_to_file",
        group_id=filing.id,
        title_zh=f"待报送的资助{zh}",
        title_en=f"{title} of aid to be sent",
        body_zh=f"一名学生 {filing.term_code} 学期的资助 {amount} 元已{zh}。请导出并报送资助管理部门。",
        body_en=f"{amount} yuan of a student's aid for {filing.term_code} are {en}. Export and send the filing.",
        data={"filing_id": str(filing.id)},
    )


async def _tell_student(session: AsyncSession, filing: AidFiling, message: Message, at: datetime) -> None:
    recipient = StudentRecipient(filing.student_id, filing.school_id)
    await post_notice(session, recipient, message, IN_APP, at)


def _registrars(school_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(
        Account.id.label("account_id"), Account.org_path, Account.school_id, null().label("phone")
    ).where(Account.kind == "registrar", Account.status == "active", Account.school_id == school_id)
