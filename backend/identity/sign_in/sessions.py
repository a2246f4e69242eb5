"""The own sessions of a staff account: list them, end one or all others. An ended session is refused at the next request."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.identity.sign_in.tables import StaffSession


async def load_own_sessions(session: AsyncSession, actor: Actor, at: datetime) -> list[StaffSession]:
    """The sessions that are valid now, newest first."""
    valid = (
        select(StaffSession)
        .where(
            StaffSession.account_id == actor.account_id,
            StaffSession.revoked_at.is_(None),
            StaffSession.expires_at > at,
        )
        .order_by(StaffSession.created_at.desc())
    )
    return list(await session.scalars(valid))


async def end_own_session(session: AsyncSession, actor: Actor, session_id: UUID, at: datetime) -> None:
    """End one own session; raises `NotFound` for a session of another account. Repeating has no effect."""
    if await session.get(StaffSession, session_id) is None:
        raise NotFound
    await revoke_session(session, session_id, at)
    audit.record(session, audit.Act("SessionEnded", "account", str(actor.account_id), actor.org_path), at)


async def end_other_sessions(session: AsyncSession, actor: Actor, current: UUID | None, at: datetime) -> None:
    """End every own session but the current one."""
    await session.execute(
        update(StaffSession)
        .where(
            StaffSession.account_id == actor.account_id,
            StaffSession.id != current,
            StaffSession.revoked_at.is_(None),
        )
        .values(revoked_at=at)
    )
    act = audit.Act("OtherSessionsEnded", "account", str(actor.account_id), actor.org_path)
    audit.record(session, act, at)


async def revoke_session(session: AsyncSession, session_id: UUID, at: datetime) -> None:
    """Revoke a session unless it is revoked already."""
    await session.execute(
        update(StaffSession)
        .where(StaffSession.id == session_id, StaffSession.revoked_at.is_(None))
        .values(revoked_at=at)
    )
