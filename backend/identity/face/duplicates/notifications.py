"""Notice to the common superior of both schools about a pair of similar faces. It contains no name and no picture."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.events import DuplicateCandidateFound
from backend.identity.face.duplicates import texts
from backend.identity.recipients import AUTHORITY_ROLES, select_staff
from backend.identity.tables import Account
from backend.notice.messages import IN_APP, Message
from backend.notice.service import post_notices


async def notify_duplicate_candidate(
    session: AsyncSession, event: DuplicateCandidateFound, at: datetime
) -> None:
    """Ask the superior to compare two portraits."""
    message = Message.of(
        "duplicate_candidate",
        event.candidate_id,
        texts.CANDIDATE_TO_SUPERIOR,
        {"duplicate_candidate_id": event.candidate_id},
    )
    staff = select_staff(Account.kind.in_(AUTHORITY_ROLES), Account.org_path == event.path)
    await post_notices(session, staff, message, IN_APP, at)
