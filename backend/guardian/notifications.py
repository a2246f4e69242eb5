"""SMS to guardians about misses, warnings and prompts, each with a link that expires.

They need a consent to a text that covers them (`guardian.notice_texts`): a consent to an earlier text covers SMS about
leave only, which `backend/leave/guardians.py` sends.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.guardian import texts
from backend.guardian.links import Cause, issue_link
from backend.guardian.policy import GuardianPolicy
from backend.identity.consents import GUARDIAN_NOTICE, load_newest_consents
from backend.notice.messages import Message, SmsText, StudentRecipient
from backend.notice.service import post_sealed_sms
from backend.org.tables import OrgUnit
from backend.people.guardians import load_reachable_guardians, load_short_name
from backend.people.tables import Student


@dataclass(frozen=True, slots=True)
class LinkSender:
    """What sending a link needs: the keys that encrypt it, and the address under which the web app is served."""

    keys: KeyRing
    public_url: str


async def notify_guardians(
    session: AsyncSession, sender: LinkSender, student_id: UUID, cause: Cause, at: datetime
) -> int:
    """Send an SMS with a link to each consented guardian; returns how many. Requires the school's scope.

    Each guardian gets at most `guardian.notices.per_day` of one kind in a legal day, so a repeated call sends nothing.
    """
    student = await session.get_one(Student, student_id)
    school = await session.get_one(OrgUnit, student.school_id)
    law = GuardianPolicy.on(legal_day(at), school.path)
    answer = (await load_newest_consents(session, student_id)).get(GUARDIAN_NOTICE)
    if answer is None or not answer.granted or answer.text_version not in law.notice_texts:
        return 0
    child = await load_short_name(session, student_id)
    template, group_id, sent = f"guardian_{cause}", new_id(), 0
    message = Message.of(template, group_id, texts.notice_to_guardian(cause, child), {}, SmsText(template))
    for guardian in await load_reachable_guardians(session, student_id):
        link = await issue_link(session, guardian, cause, law, at)
        if link is None:
            continue
        recipient = StudentRecipient(student_id, student.school_id, phone=guardian.phone)
        params = {"student": child, "url": link.url(sender.public_url)}
        await post_sealed_sms(session, recipient, message, params, sender.keys, at)
        sent += 1
    return sent
