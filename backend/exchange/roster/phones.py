"""Phone numbers of students who have bound a phone: a roster only proposes them (`identity/phone_changes`).

The rows of such students keep the number of the roll, so that no other step of the import writes it.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.phone_changes.rules import Proposal
from backend.identity.phone_changes.service import propose_numbers
from backend.org.tables import OrgUnit


async def propose_phones(session: AsyncSession, school: OrgUnit, at: datetime) -> int:
    """Propose the changed numbers of students who ever bound a phone; returns how many were proposed now."""
    await session.execute(_KEEP_NUMBERS)
    changed = (await session.execute(_CHANGED_NUMBERS)).all()
    judged = await propose_numbers(
        session, school, {row.student_id: row.proposed_phone for row in changed}, at
    )
    refused = [student_id for student_id, each in judged.items() if each is Proposal.REFUSED]
    if refused:
        await session.execute(_MARK_REFUSED, {"students": refused})
    return sum(each is Proposal.NEW for each in judged.values())


_KEEP_NUMBERS = text(
    """
    UPDATE roster_staging s
    SET proposed_phone = s.phone, phone = t.phone,
        phone_finding = CASE WHEN s.phone IS NULL THEN 'kept' ELSE 'proposed' END
    FROM student t
    WHERE t.id = s.student_id AND s.action = 'updated' AND s.phone IS DISTINCT FROM t.phone
      AND EXISTS (SELECT FROM device_key d WHERE d.student_id = t.id)
    """
)

_CHANGED_NUMBERS = text(
    "SELECT student_id, proposed_phone FROM roster_staging WHERE phone_finding = 'proposed' ORDER BY student_id"
)

_MARK_REFUSED = text(
    "UPDATE roster_staging SET phone_finding = 'refused' WHERE student_id = ANY (CAST(:students AS uuid[]))"
)

FINDINGS = text(
    """
    SELECT s.sheet, s."row", '' AS cell, count(*) OVER () FROM roster_staging s
    WHERE s.phone_finding = :finding ORDER BY 1, 2 LIMIT :listed
    """
)
"""The rows with a finding about the number: proposed, kept because the cell is empty, or refused before."""
