"""Staff sign in with two factors; a sign-in is a row, so it ends at the next request when it must."""

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
from backend.identity.errors import SessionRevoked, SignInRefused, TooManyAttempts
from backend.identity.policy import province_policy
from backend.identity.sign_in.access_tokens import IssuedToken, issue_staff_token
from backend.identity.sign_in.second_factor import matching_step, open_secret
from backend.identity.tables import Account, StaffSession

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a member of staff types."""

    login: str
    password: str
    totp: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Tokens of a sign-in; the refresh token is used once and replaced."""

    access: IssuedToken
    refresh_token: str


async def charge_attempt(
    app_context: AppContext, login: str, at: datetime
) -> unscoped_queries.SignInFacts | None:
    """Count an attempt at an account before judging it; raises TooManyAttempts while it must wait."""
    law = province_policy(app_context, at)
    delay = law.duration("identity.sign_in.delay_after_failures")
    most = law.integer("identity.sign_in.max_failed_attempts")
    facts = await unscoped_queries.open_sign_in(app_context.database, login, at, most, delay)
    if facts is not None and not facts.allowed:
        raise TooManyAttempts(wait_s=int(delay.total_seconds()))
    return facts


async def sign_in(app_context: AppContext, command: SignIn) -> SignedIn:
    """Open a session; raises SignInRefused alike for an unknown login, a wrong password and a wrong or used code."""
    at = app_context.clock()
    facts = await charge_attempt(app_context, command.login, at)
    stored = facts.password_hash if facts else None
    matches = await password_matches(app_context, command.password, stored)
    if facts is None or not matches or facts.status != "active" or facts.totp_sealed is None:
        raise SignInRefused
    account_id = facts.actor.account_id
    step = matching_step(open_secret(app_context.keys, account_id, facts.totp_sealed), command.totp, at)
    if step is None:
        raise SignInRefused
    session_id, secret = new_id(), secrets.token_urlsafe(_SECRET_BYTES)
    async with app_context.database.transaction(facts.actor.scope) as session:
        await use_code(session, account_id, step)
        session.add(
            StaffSession(
                id=session_id,
                account_id=account_id,
                refresh_hash=digest(secret),
                created_at=at,
                expires_at=at + province_policy(app_context, at).duration("identity.staff_session.lifetime"),
            )
        )
        act = audit.Act("SignedIn", "account", str(account_id), facts.actor.org_path)
        audit.record(session, act, at)
    return SignedIn(_access(app_context, account_id, session_id, at), _refresh_token(session_id, secret))


async def use_code(session: AsyncSession, account_id: UUID, step: int) -> None:
    """Spend a second-factor code and forgive earlier failures; raises SignInRefused for a code used before."""
    spent = await session.execute(
        update(Account)
        .where(Account.id == account_id, or_(Account.totp_step.is_(None), Account.totp_step < step))
        .values(totp_step=step, failed_attempts=0, blocked_until=None)
    )
    if cast("CursorResult[Any]", spent).rowcount != 1:
        raise SignInRefused


async def refresh(app_context: AppContext, refresh_token: str) -> SignedIn:
    """Exchange a refresh token for new ones. A token used before ends the sign-in: it was stolen, or its owner's was."""
    at = app_context.clock()
    session_id, secret = _parts(refresh_token)
    facts = await unscoped_queries.session_facts(app_context.database, session_id)
    if facts is None or not facts.stands(at):
        raise SessionRevoked
    used, fresh = digest(secret), secrets.token_urlsafe(_SECRET_BYTES)
    async with app_context.database.transaction(facts.actor.scope) as session:
        rotated = await session.execute(
            update(StaffSession)
            .where(
                StaffSession.id == session_id,
                StaffSession.refresh_hash == used,
                StaffSession.revoked_at.is_(None),
            )
            .values(refresh_hash=digest(fresh))
        )
        is_rotated = cast("CursorResult[Any]", rotated).rowcount == 1
        if not is_rotated:
            await _revoke(session, session_id, at)
            act = audit.Act(
                "RefreshTokenReused", "account", str(facts.actor.account_id), facts.actor.org_path
            )
            audit.record(session, act, at)
    if not is_rotated:
        raise SessionRevoked
    return SignedIn(
        _access(app_context, facts.actor.account_id, session_id, at), _refresh_token(session_id, fresh)
    )


async def sign_out(session: AsyncSession, actor: Actor, session_id: UUID, at: datetime) -> None:
    """End the sign-in; its tokens are refused at the next request."""
    await _revoke(session, session_id, at)
    audit.record(session, audit.Act("SignedOut", "account", str(actor.account_id), actor.org_path), at)


async def _revoke(session: AsyncSession, session_id: UUID, at: datetime) -> None:
    await session.execute(
        update(StaffSession)
        .where(StaffSession.id == session_id, StaffSession.revoked_at.is_(None))
        .values(revoked_at=at)
    )


def _access(app_context: AppContext, account_id: UUID, session_id: UUID, at: datetime) -> IssuedToken:
    life = province_policy(app_context, at).duration("identity.token.lifetime")
    return issue_staff_token(app_context.keys, account_id, session_id, at, life)


def _refresh_token(session_id: UUID, secret: str) -> str:
    return f"{session_id}.{secret}"


def _parts(refresh_token: str) -> tuple[UUID, str]:
    head, _, secret = refresh_token.partition(".")
    try:
        return UUID(head), secret
    except ValueError as error:
        raise SessionRevoked from error


def digest(secret: str) -> bytes:
    """What is stored of a random secret; one of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
