"""What a look needs: an accepted ID portrait whose picture is kept, and the consents of the student."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from backend.identity.consents import LOOK_CONSENTS
from backend.identity.tables import Portrait
from backend.people.tables import Consent
from backend.roll_call.looks.rules import find_bar


@dataclass(frozen=True, slots=True)
class LookBasis:
    """The student's accepted portrait, and why no person may look at pictures; None if one may."""

    portrait_id: UUID | None
    barred: str | None


async def load_look_bases(session: AsyncSession, student_ids: Collection[UUID]) -> dict[UUID, LookBasis]:
    """Load the basis of each student, with two queries for all of them."""
    accepted = await session.execute(
        select(Portrait.student_id, Portrait.id)
        .where(
            Portrait.student_id.in_(student_ids),
            Portrait.status == "accepted",
            Portrait.picture_deleted_at.is_(None),
        )
        .order_by(Portrait.submitted_at, Portrait.id)
    )
    portraits = {row.student_id: row.id for row in accepted}  # the newest of each student
    newest = (
        select(Consent.student_id, Consent.kind, Consent.granted)
        .where(Consent.student_id.in_(student_ids), Consent.kind.in_(LOOK_CONSENTS))
        .ext(distinct_on(Consent.student_id, Consent.kind))
        .order_by(Consent.student_id, Consent.kind, Consent.at.desc(), Consent.id.desc())
    )
    granted = defaultdict[UUID, set[str]](set)
    for student_id, kind, is_granted in await session.execute(newest):
        if is_granted:
            granted[student_id].add(kind)
    return {
        each: LookBasis(
            portraits.get(each),
            find_bar(has_portrait=each in portraits, consents=granted[each], needed=LOOK_CONSENTS),
        )
        for each in student_ids
    }
