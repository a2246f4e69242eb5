"""The query that finds a link before any tenant scope is known; see `backend/identity/unscoped_queries.py`."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from backend.core.database import Database
from backend.guardian.rules import LinkFacts


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link with its student and school, and how often it was used in the current minute."""

    link_id: UUID
    guardian_id: UUID
    guardian_name: str
    relation: str | None
    student_id: UUID
    school_id: UUID
    school_path: str
    birth_date: date
    facts: LinkFacts
    requests: int
    minute_ends: datetime


_OPEN = text("SELECT * FROM definer.open_guardian_link(:hash, :at, :limit)")


async def open_link(database: Database, token_hash: bytes, at: datetime, limit: int) -> OpenedLink | None:
    """Find the link of a token and count the request; None for an unknown token.

    The call has its own commit, so that a counted request stays counted when it fails later. Above `limit` the number
    of requests no longer grows.
    """
    rows = await database.fetch_autocommit(_OPEN, hash=token_hash, at=at, limit=limit)
    if not rows:
        return None
    row = rows[0]
    return OpenedLink(
        link_id=row["link_id"],
        guardian_id=row["guardian_id"],
        guardian_name=row["guardian_name"],
        relation=row["relation"],
        student_id=row["student_id"],
        school_id=row["school_id"],
        school_path=row["school_path"],
        birth_date=row["birth_date"],
        facts=LinkFacts(
            expires_at=row["expires_at"],
            is_revoked=row["revoked_at"] is not None,
            is_on_roster=row["on_roster"],
            consent_granted=row["granted"],
            consent_text=row["text_version"],
        ),
        requests=row["requests"],
        minute_ends=row["window_at"] + timedelta(minutes=1),
    )
