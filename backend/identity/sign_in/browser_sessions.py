"""Sessions of browsers. The refresh token is in a cookie that no script can read, and several tabs share it.

Tabs exchange the same token at the same time, and answers get lost when a page is closed. So a replaced token is accepted
for a short grace and gets the same successor again, which is derived from it with a key of the server. After the
grace, its use revokes the session, as for apps.
"""

import base64
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.app_context import AppContext
from backend.core.keys import KeyRing
from backend.identity import unscoped_queries
from backend.identity.errors import SessionRevoked
from backend.identity.policy import province_policy
from backend.identity.rules import RefreshState, decide_refresh
from backend.identity.sign_in.secrets import hash_secret
from backend.identity.sign_in.session_tokens import (
    SessionTokens,
    issue_tokens,
    parse_refresh_token,
    revoke_for_reuse,
)
from backend.identity.sign_in.sessions import revoke_session
from backend.identity.sign_in.tables import StaffSession
from backend.identity.unscoped_queries import SessionState


async def refresh_browser_session(
    app_context: AppContext, refresh_token: str
) -> tuple[SessionTokens, datetime]:
    """New tokens, and when the session ends. Raises `SessionRevoked`; a reused token revokes the session."""
    at = app_context.clock()
    session_id, secret = parse_refresh_token(refresh_token)
    state = await _load_valid(app_context, session_id, at)
    grace = province_policy(app_context, at).duration("identity.staff_session.refresh_grace")
    successor = _derive_successor(app_context.keys, session_id, secret)
    async with app_context.database.transaction(state.actor.scope) as session:
        row = await _lock(session, session_id)
        if row is None:
            raise SessionRevoked
        known = RefreshState(row.refresh_hash, row.previous_hash, row.rotated_at)
        step = decide_refresh(known, hash_secret(secret), at, grace)
        row.used_at = at
        if step == "rotate":
            row.previous_hash, row.refresh_hash, row.rotated_at = known.current, hash_secret(successor), at
        elif step == "reused":
            await revoke_for_reuse(session, state.actor, session_id, at)
    if step == "reused":
        raise SessionRevoked
    next_secret = secret if step == "keep" else successor
    return issue_tokens(app_context, state.actor.account_id, session_id, next_secret, at), state.expires_at


async def end_browser_session(app_context: AppContext, refresh_token: str) -> None:
    """Sign out the session of a cookie. A token that is not its newest one ends nothing."""
    at = app_context.clock()
    try:
        session_id, secret = parse_refresh_token(refresh_token)
        state = await _load_valid(app_context, session_id, at)
    except SessionRevoked:
        return
    actor, presented = state.actor, hash_secret(secret)
    async with app_context.database.transaction(actor.scope) as session:
        row = await _lock(session, session_id)
        if row is None or presented not in (row.refresh_hash, row.previous_hash):
            return
        await revoke_session(session, session_id, at)
        audit.record(session, audit.Act("SignedOut", "account", str(actor.account_id), actor.org_path), at)


async def _load_valid(app_context: AppContext, session_id: UUID, at: datetime) -> SessionState:
    state = await unscoped_queries.load_session(app_context.database, session_id)
    if state is None or not state.is_valid(at):
        raise SessionRevoked
    return state


async def _lock(session: AsyncSession, session_id: UUID) -> StaffSession | None:
    """Lock the session of a browser; None if it has ended meanwhile, or belongs to an app."""
    live = select(StaffSession).where(
        StaffSession.id == session_id,
        StaffSession.in_browser.is_(True),
        StaffSession.revoked_at.is_(None),
    )
    row: StaffSession | None = await session.scalar(live.with_for_update())
    return row


def _derive_successor(keys: KeyRing, session_id: UUID, secret: str) -> str:
    """The token that replaces `secret`: always the same, and unknown without the server's key."""
    digest = keys.keyed_hash(f"refresh:{session_id}:{secret}")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
