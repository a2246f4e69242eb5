"""Staff sign-in with two factors. A session is a row, so revoking it takes effect at the next request."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.identity import unscoped_queries
from backend.identity.accounts.passwords import password_matches
from backend.identity.errors import SecondFactorUsed, SessionRevoked, SignInRefused, TooManyAttempts
from backend.identity.policy import province_policy
from backend.identity.sign_in.access_tokens import IssuedToken, issue_staff_token
from backend.identity.sign_in.second_factor import find_matching_step, open_secret
from backend.identity.tables import Account, StaffSession

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a staff user enters."""

    login: str
    password: str
    totp: str


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """The tokens of a session; the refresh token is used once and then replaced."""

    access: IssuedToken
    refresh_token: str


async def start_attempt(
    app_context: AppContext, login: str, at: datetime
) -> unscoped_queries.StaffCredentials | None:
    """Count an attempt at an account and load its credentials; raises `TooManyAttempts` while it must wait."""
    policy = province_policy(app_context, at)
    delay = policy.duration("identity.sign_in.delay_after_failures")
    max_attempts = policy.integer("identity.sign_in.max_failed_attempts")
    credentials = await unscoped_queries.record_sign_in_attempt(
        app_context.database, login, at, max_attempts, delay
    )
    if credentials is not None and not credentials.allowed:
        raise TooManyAttempts(wait_s=int(delay.total_seconds()))
    return credentials


async def sign_in(app_context: AppContext, command: SignIn) -> SessionTokens:
    """Open a session.

    Raises `SignInRefused` for an unknown login, a wrong password and a wrong code alike. Raises `SecondFactorUsed`
    only if both factors are right, so it tells nothing to a guesser.
    """
    at = app_context.clock()
    credentials = await start_attempt(app_context, command.login, at)
    stored = credentials.password_hash if credentials else None
    matches = await password_matches(app_context, command.password, stored)
    if (
        credentials is None
        or not matches
        or credentials.status != "active"
        or credentials.totp_sealed is None
    ):
        raise SignInRefused
    account_id = credentials.actor.account_id
    step = find_matching_step(
        open_secret(app_context.keys, account_id, credentials.totp_sealed), command.totp, at
    )
    if step is None:
        raise SignInRefused
    session_id, secret = new_id(), secrets.token_urlsafe(_SECRET_BYTES)
    async with app_context.database.transaction(credentials.actor.scope) as session:
        await consume_code(session, account_id, step)
        session.add(
            StaffSession(
                id=session_id,
                account_id=account_id,
                refresh_hash=hash_secret(secret),
                created_at=at,
                expires_at=at + province_policy(app_context, at).duration("identity.staff_session.lifetime"),
            )
        )
        act = audit.Act("SessionTokens", "account", str(account_id), credentials.actor.org_path)
        audit.record(session, act, at)
    return SessionTokens(
        _issue_access_token(app_context, account_id, session_id, at),
        _format_refresh_token(session_id, secret),
    )


async def consume_code(session: AsyncSession, account_id: UUID, step: int) -> None:
    """Mark a second-factor code as used and reset failed attempts; raises `SecondFactorUsed`."""
    updated = await session.execute(
        update(Account)
        .where(Account.id == account_id, or_(Account.totp_step.is_(None), Account.totp_step < step))
        .values(totp_step=step, failed_attempts=0, blocked_until=None)
    )
    if cast("CursorResult[Any]", updated).rowcount != 1:
        raise SecondFactorUsed


async def refresh_session(app_context: AppContext, refresh_token: str) -> SessionTokens:
    """Exchange a refresh token for new tokens. A reused token revokes the session, because it may have been stolen."""
    at = app_context.clock()
    session_id, secret = _parse_refresh_token(refresh_token)
    state = await unscoped_queries.load_session(app_context.database, session_id)
    if state is None or not state.is_valid(at):
        raise SessionRevoked
    used, fresh = hash_secret(secret), secrets.token_urlsafe(_SECRET_BYTES)
    async with app_context.database.transaction(state.actor.scope) as session:
        rotated = await session.execute(
            update(StaffSession)
            .where(
                StaffSession.id == session_id,
                StaffSession.refresh_hash == used,
                StaffSession.revoked_at.is_(None),
            )
            .values(refresh_hash=hash_secret(fresh))
        )
        is_rotated = cast("CursorResult[Any]", rotated).rowcount == 1
        if not is_rotated:
            await _revoke_session(session, session_id, at)
            act = audit.Act(
                "RefreshTokenReused", "account", str(state.actor.account_id), state.actor.org_path
            )
            audit.record(session, act, at)
    if not is_rotated:
        raise SessionRevoked
    return SessionTokens(
        _issue_access_token(app_context, state.actor.account_id, session_id, at),
        _format_refresh_token(session_id, fresh),
    )


async def sign_out(session: AsyncSession, actor: Actor, session_id: UUID, at: datetime) -> None:
    """Revoke the session; its tokens are refused at the next request."""
    await _revoke_session(session, session_id, at)
    audit.record(session, audit.Act("SignedOut", "account", str(actor.account_id), actor.org_path), at)


async def _revoke_session(session: AsyncSession, session_id: UUID, at: datetime) -> None:
    await session.execute(
        update(StaffSession)
        .where(StaffSession.id == session_id, StaffSession.revoked_at.is_(None))
        .values(revoked_at=at)
    )


def _issue_access_token(
    app_context: AppContext, account_id: UUID, session_id: UUID, at: datetime
) -> IssuedToken:
    life = province_policy(app_context, at).duration("identity.token.lifetime")
    return issue_staff_token(app_context.keys, account_id, session_id, at, life)


def _format_refresh_token(session_id: UUID, secret: str) -> str:
    return f"{session_id}.{secret}"


def _parse_refresh_token(refresh_token: str) -> tuple[UUID, str]:
    head, _, secret = refresh_token.partition(".")
    try:
        return UUID(head), secret
    except ValueError as error:
        raise SessionRevoked from error


def hash_secret(secret: str) -> bytes:
    """The stored hash of a random secret; 256 bits of entropy need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
