"""SMS to guardians about leave. Guardians have no account and no app.

An SMS requires consent: the student's from the age of fourteen, the guardian's below (PIPL, article 31). Every version of
the consent text covers these SMS; those of `backend/guardian` need a later one. An SMS about leave contains
neither reason nor school and only the student's surname, because other people may see the phone.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bilingual import format_instant
from backend.core.clock import legal_day
from backend.identity.consents import GUARDIAN_NOTICE, load_newest_consents
from backend.leave import texts
from backend.leave.events import LeaveDecided
from backend.leave.notifications import load_leave
from backend.leave.queries import load_leave_balance
from backend.notice.messages import Message, SmsText, StudentRecipient
from backend.notice.service import post_sms
from backend.people.guardians import load_reachable_guardians, load_short_name
from backend.people.tables import Guardian


async def notify_approved(session: AsyncSession, event: LeaveDecided, at: datetime) -> None:
    """Notify the guardians of approved leave and of the leave days of the term."""
    leave = await load_leave(session, event.leave_id)
    if leave.decision is None or leave.decision.outcome != "approved":
        return
    student_id = leave.request.student_id
    to = await _load_consented_guardians(session, student_id)
    if not to:
        return
    child = await load_short_name(session, student_id)
    count = await load_leave_balance(session, student_id, at, legal_day(leave.request.starts_at))
    opens, closes = format_instant(leave.request.starts_at), format_instant(leave.request.ends_at)
    days, cap = str(count.planned), str(count.cap)
    params = {"student": child, "from": opens, "until": closes, "days": days, "cap": cap}
    message = Message.of(
        "guardian_leave",
        leave.request.id,
        texts.approved_to_guardian(child, opens, closes, days, cap),
        {},
        SmsText("guardian_leave", params),
    )
    await _send_sms(session, to, message, at)


async def notify_over_limit(session: AsyncSession, student_id: UUID, prompt_id: UUID, at: datetime) -> None:
    """Notify the guardians that leave exceeds the limit of the term (HN334-3.5b)."""
    to = await _load_consented_guardians(session, student_id)
    if not to:
        return
    child = await load_short_name(session, student_id)
    count = await load_leave_balance(session, student_id, at)
    days, cap = str(len(count.used)), str(count.cap)
    message = Message.of(
        "guardian_leave_limit",
        prompt_id,
        texts.over_limit_to_guardian(child, days, cap),
        {},
        SmsText("guardian_leave_limit", {"student": child, "days": days, "cap": cap}),
    )
    await _send_sms(session, to, message, at)


async def _load_consented_guardians(session: AsyncSession, student_id: UUID) -> Sequence[Guardian]:
    """Guardians with a phone number, if the newest consent allows notices; otherwise none."""
    answer = (await load_newest_consents(session, student_id)).get(GUARDIAN_NOTICE)
    if answer is None or not answer.granted:
        return ()
    return await load_reachable_guardians(session, student_id)


async def _send_sms(session: AsyncSession, to: Sequence[Guardian], message: Message, at: datetime) -> None:
    for guardian in to:
        recipient = StudentRecipient(guardian.student_id, guardian.school_id, phone=guardian.phone)
        await post_sms(session, recipient, message, at)
