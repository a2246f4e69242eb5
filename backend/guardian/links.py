"""Issuing links: a random token that only the SMS contains; the database has its SHA-256."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.guardian.policy import GuardianPolicy
from backend.identity.sign_in.secrets import hash_secret
from backend.people.tables import Guardian, GuardianLink

Cause = Literal["miss", "warning", "prompt"]
TOKEN_BYTES = 32
PAGE_PATH = "/m/guardian"


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A new link. `token` must go into encrypted parameters of an SMS only."""

    token: str

    def url(self, public_url: str) -> str:
        """The address of the page. A browser does not send the part after # to the server."""
        return f"{public_url.rstrip('/')}{PAGE_PATH}#{self.token}"


async def issue_link(
    session: AsyncSession, guardian: Guardian, cause: Cause, law: GuardianPolicy, at: datetime
) -> IssuedLink | None:
    """Issue a link to a guardian; None if the day's number of notices of this kind is reached.

    Of two transactions that issue the same link at once, the unique constraint admits one.
    """
    day = legal_day(at)
    issued = select(func.count()).where(
        GuardianLink.guardian_id == guardian.id, GuardianLink.cause == cause, GuardianLink.issued_on == day
    )
    number = int(await session.scalar(issued) or 0) + 1
    if number > law.notices_per_day:
        return None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = insert(GuardianLink).values(
        id=new_id(),
        school_id=guardian.school_id,
        student_id=guardian.student_id,
        guardian_id=guardian.id,
        guardian_name=guardian.name,
        relation=guardian.relation,
        token_hash=hash_secret(token),
        cause=cause,
        issued_on=day,
        number=number,
        issued_at=at,
        expires_at=at + law.link_lifetime,
        window_requests=0,
    )
    inserted = await session.scalar(row.on_conflict_do_nothing().returning(GuardianLink.id))
    return None if inserted is None else IssuedLink(token)
