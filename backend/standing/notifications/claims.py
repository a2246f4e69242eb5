"""Notify the student of the decision on a claim. The notice contains no reason: others may see the phone."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.service import post_notice
from backend.standing.events import ReasonClaimDecided
from backend.standing.store.tables import ClaimDecision


async def notify_claim_decided(session: AsyncSession, event: ReasonClaimDecided, at: datetime) -> None:
    """Notify the student in the app; after a refusal, mention the appeal."""
    decision = await session.get_one(ClaimDecision, event.claim_id)
    zh, en = ("已认可", "accepted") if decision.accepted else ("未予认可", "not accepted")
    after_zh, after_en = (
        ("该次核验不再计入次数。", "That check no longer counts.")
        if decision.accepted
        else ("如不服，可提出申诉。", "If you disagree, you may appeal.")
    )
    message = Message(
        kind="reason_claim_decided",
        group_id=event.claim_id,
        title_zh=f"未核验理由{zh}",
        title_en=f"Reason {en}",
        body_zh=f"您的未核验理由{zh}。{after_zh}请在应用中查看意见。",
        body_en=f"Your reason for a missed check was {en}. {after_en} Open the app to read the opinion.",
        data={"claim_id": str(event.claim_id)},
    )
    recipient = StudentRecipient(decision.student_id, decision.school_id)
    await post_notice(session, recipient, message, IN_APP, at)
