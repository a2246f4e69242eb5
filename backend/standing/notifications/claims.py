"""Notify the student of the decision on a claim. The notice contains no reason: others may see the phone."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.service import post_notice
from backend.standing.events import ReasonClaimDecided
from backend.standing.notifications import texts
from backend.standing.store.tables import ClaimDecision


async def notify_claim_decided(session: AsyncSession, event: ReasonClaimDecided, at: datetime) -> None:
    """Notify the student in the app; after a refusal, mention the appeal."""
    decision = await session.get_one(ClaimDecision, event.claim_id)
    text = texts.CLAIM_ACCEPTED if decision.accepted else texts.CLAIM_REFUSED
    message = Message.of("reason_claim_decided", event.claim_id, text, {"claim_id": event.claim_id})
    recipient = StudentRecipient(decision.student_id, decision.school_id)
    await post_notice(session, recipient, message, IN_APP, at)
