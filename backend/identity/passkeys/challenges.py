"""Challenges of passkeys. They are authenticated, so that one without an answer needs no row.

A challenge is 16 random bytes, the time of its end (8 bytes, seconds since the epoch) and a MAC over both, its purpose
and its account.
"""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import Database
from backend.core.keys import KeyRing
from backend.identity.errors import PasskeyChallengeInvalid
from backend.identity.passkeys.tables import AnsweredChallenge

Purpose = Literal["register", "sign_in", "confirm"]
"""What an answer is for: a new passkey, a sign-in, or a confirmation by a signed-in account."""

_RANDOM, _END = 16, 8


def issue_challenge(keys: KeyRing, purpose: Purpose, account_id: UUID | None, until: datetime) -> bytes:
    """A new challenge. `account_id` is None for a sign-in, whose account is not known yet."""
    content = secrets.token_bytes(_RANDOM) + int(until.timestamp()).to_bytes(_END)
    return content + _compute_mac(keys, purpose, account_id, content)


def check_challenge(
    keys: KeyRing, challenge: bytes, purpose: Purpose, account_id: UUID | None, at: datetime
) -> None:
    """Raise `PasskeyChallengeInvalid` unless the challenge was issued here for this purpose and has not ended."""
    content, mac = challenge[: _RANDOM + _END], challenge[_RANDOM + _END :]
    if not hmac.compare_digest(mac, _compute_mac(keys, purpose, account_id, content)):
        raise PasskeyChallengeInvalid
    if not at.timestamp() < int.from_bytes(content[_RANDOM:]):
        raise PasskeyChallengeInvalid


async def spend_challenge(session: AsyncSession, challenge: bytes, at: datetime) -> None:
    """Mark a challenge as answered; raises `PasskeyChallengeInvalid` if it was answered before."""
    row = {"challenge_hash": hashlib.sha256(challenge).digest(), "at": at}
    spent = await session.execute(
        insert(AnsweredChallenge)
        .values(row)
        .on_conflict_do_nothing()
        .returning(AnsweredChallenge.challenge_hash)
    )
    if spent.scalar_one_or_none() is None:
        raise PasskeyChallengeInvalid


_PURGE = text("SELECT definer.purge_answered_challenges(:before)")


async def purge_answered_challenges(database: Database, before: datetime) -> None:
    """Delete challenges that were answered before `before`: they have ended since."""
    await database.fetch_autocommit(_PURGE, before=before)


def _compute_mac(keys: KeyRing, purpose: Purpose, account_id: UUID | None, content: bytes) -> bytes:
    return keys.keyed_hash(f"passkey:{purpose}:{account_id or ''}:{content.hex()}")
