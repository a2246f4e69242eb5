"""Audit log: one entry in the transaction of every act, added to a hash chain shortly afterwards.

The act itself appends the entry. A single job then seals entries into the chain, so that concurrent acts never
wait for the head of the chain.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.bulk_insert import insert_rows
from backend.core.ids import new_id
from backend.core.tables import AuditEntry, AuditSeal
from backend.core.tenancy import scope_of

GENESIS = hashlib.sha256(b"dianming audit").digest()
_SEAL_LOCK = 0x6469616E


@dataclass(frozen=True, slots=True)
class Act:
    """What was done to which record of which unit. `before` and `after` contain no secret and no ID number."""

    action: str
    subject_type: str
    subject_id: str
    org_path: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


def record(session: AsyncSession, act: Act, at: datetime) -> None:
    """Append an audit entry for `act`, done by the account of the session's scope."""
    session.add(AuditEntry(**_entry_row(session, act, at)))


async def record_all(session: AsyncSession, acts: Iterable[tuple[Act, datetime]]) -> None:
    """Append an entry for each act and its time, in one statement."""
    await insert_rows(session, AuditEntry, [_entry_row(session, act, at) for act, at in acts])


def _entry_row(session: AsyncSession, act: Act, at: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "at": at,
        "acting_account": scope_of(session).account_id,
        "action": act.action,
        "subject_type": act.subject_type,
        "subject_id": act.subject_id,
        "org_path": act.org_path,
        "before": act.before,
        "after": act.after,
    }


async def load_acts(
    session: AsyncSession, subject_type: str, subject_id: str, actions: Collection[str]
) -> Sequence[AuditEntry]:
    """The entries about one record that are in the tenant scope, oldest first."""
    query = (
        select(AuditEntry)
        .where(
            BY_PERSON_OR_NO_OUTCOME,
            AuditEntry.subject_id == subject_id,
            AuditEntry.subject_type == subject_type,
            AuditEntry.action.in_(actions),
        )
        .order_by(AuditEntry.at, AuditEntry.id)
    )
    return (await session.scalars(query)).all()


BY_PERSON_OR_NO_OUTCOME = literal_column(
    "(subject_type <> 'outcome' OR acting_account IS NOT NULL)", Boolean()
)
"""The predicate of the index by subject. It leaves out the outcomes that the system writes, by far the most entries."""


def seal_digest(previous: bytes, entry: AuditEntry) -> bytes:
    """The seal of `entry` that follows the seal `previous` (32 bytes each)."""
    body = json.dumps(
        [
            str(entry.id),
            entry.at.timestamp(),
            str(entry.acting_account or ""),
            entry.action,
            entry.subject_type,
            entry.subject_id,
            entry.org_path,
            entry.before,
            entry.after,
        ],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(previous + body.encode()).digest()


async def _load_head(session: AsyncSession) -> bytes:
    newest = select(AuditSeal.digest).order_by(AuditSeal.seq.desc()).limit(1)
    return await session.scalar(newest) or GENESIS


SEAL_BATCH = 5000


async def seal(session: AsyncSession, at: datetime, limit: int = SEAL_BATCH) -> int:
    """Seal up to `limit` entries and return their number. An advisory lock admits one sealer at a time."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SEAL_LOCK})
    head = await _load_head(session)
    unsealed = (
        select(AuditEntry)
        .outerjoin(AuditSeal, AuditSeal.entry_id == AuditEntry.id)
        .where(AuditSeal.entry_id.is_(None))
        .order_by(AuditEntry.id)
        .limit(limit)
    )
    entries = (await session.scalars(unsealed)).all()
    for entry in entries:
        head = seal_digest(head, entry)
        session.add(AuditSeal(entry_id=entry.id, digest=head, sealed_at=at))
        await session.flush()
    return len(entries)


async def first_broken_link(session: AsyncSession) -> int | None:
    """The sequence number of the first seal that does not match its entry, or None if the chain is intact."""
    head = GENESIS
    rows = await session.stream(
        select(AuditSeal, AuditEntry)
        .outerjoin(AuditEntry, AuditEntry.id == AuditSeal.entry_id)
        .order_by(AuditSeal.seq)
    )
    async for sealed, entry in rows:
        if entry is None or seal_digest(head, entry) != sealed.digest:
            return int(sealed.seq)
        head = sealed.digest
    return None
