"""Staff sign-in with two factors. A session is a row, so revoking it takes effect at the next request."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.web.client import Client
from backend.identity import unscoped_queries
from backend.identity.accounts.passwords import password_matches
from backend.identity.errors import SecondFactorUsed, SessionRevoked, SignInRefused
from backend.identity.sign_in.attempts import forget_attempt, record_attempt, start_attempt
from backend.identity.sign_in.second_factor import (
    PLACEHOLDER_SECRET,
    find_matching_step,
    open_secret,
)
from backend.identity.sign_in.secrets import hash_secret, new_secret_token
from backend.identity.sign_in.session_tokens import (
    NewSession,
    SessionTokens,
    issue_tokens,
    open_session,
    parse_refresh_token,
    revoke_for_reuse,
)
from backend.identity.sign_in.sessions import revoke_session
from backend.identity.sign_in.tables import SignInDevice, StaffSession
from backend.identity.sign_in.unscoped_queries import Attempt, Reason, StaffAccountState
from backend.identity.tables import Account


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a staff user enters, and the token that the device got at an earlier sign-in."""

    login: str
    password: str
    totp: str
    device_token: str | None = None
    in_browser: bool = False
    """Whether the refresh token goes into a cookie."""


async def sign_in(app_context: AppContext, command: SignIn, client: Client) -> SessionTokens:
    """Open a session.

    Raises `SignInRefused` for an unknown login, a wrong password and a wrong code alike, and after the same work. Raises
    `SecondFactorUsed` only if both factors are right, so it tells nothing to a guesser.
    """
    at = app_context.clock()
    attempt = await start_attempt(app_context, command.login, command.device_token, client, at)
    account, checked = attempt.account, await check_factors(app_context, attempt.account, command, at)
    if account is None or not isinstance(checked, int):
        reason = "login" if isinstance(checked, int) else checked
        await record_attempt(app_context, attempt, "refused", reason, client, at)
        raise SignInRefused
    try:
        tokens = await _open_session(app_context, account, attempt, command, client, checked, at)
    except SecondFactorUsed:
        await forget_attempt(app_context, attempt)
        await record_attempt(app_context, attempt, "refused", "code_used", client, at)
        raise
    await forget_attempt(app_context, attempt)
    await record_attempt(app_context, attempt, "succeeded", None, client, at)
    return tokens


async def check_factors(
    app_context: AppContext, account: StaffAccountState | None, command: SignIn, at: datetime
) -> int | Reason:
    """The step of the right code, or what is wrong. Without an account the same work is done with placeholders."""
    stored = account.password_hash if account else None
    matches = await password_matches(app_context, command.password, stored)
    secret = PLACEHOLDER_SECRET
    if account is not None and account.totp_sealed is not None:
        secret = open_secret(app_context.keys, account.actor.account_id, account.totp_sealed)
    step = find_matching_step(secret, command.totp, at)
    if account is None:
        return "login"
    if account.status != "active" or account.totp_sealed is None:
        return "status"
    if not matches:
        return "password"
    return "code" if step is None else step


async def _open_session(
    app_context: AppContext,
    account: StaffAccountState,
    attempt: Attempt,
    command: SignIn,
    client: Client,
    step: int,
    at: datetime,
) -> SessionTokens:
    actor = account.actor
    async with app_context.database.transaction(actor.scope) as session:
        await consume_code(session, actor.account_id, step)
        device_id, device_token = await _remember_device(session, actor.account_id, attempt, command, at)
        new = NewSession(app_context, actor, client, at, device_id, command.in_browser)
        tokens = open_session(session, new)
    return replace(tokens, device_token=device_token)


async def _remember_device(
    session: AsyncSession, account_id: UUID, attempt: Attempt, command: SignIn, at: datetime
) -> tuple[UUID, str]:
    """The known device, or a new one: its id and token."""
    if attempt.device_id is not None and command.device_token is not None:
        used = update(SignInDevice).where(SignInDevice.id == attempt.device_id).values(used_at=at)
        await session.execute(used)
        return attempt.device_id, command.device_token
    device_id, token = new_id(), new_secret_token()
    device = SignInDevice(
        id=device_id, account_id=account_id, token_hash=hash_secret(token), created_at=at, used_at=at
    )
    session.add(device)
    await session.flush()
    return device_id, token


async def consume_code(session: AsyncSession, account_id: UUID, step: int) -> None:
    """Mark a second-factor code as used; raises `SecondFactorUsed`."""
    updated = await session.execute(
        update(Account)
        .where(Account.id == account_id, or_(Account.totp_step.is_(None), Account.totp_step < step))
        .values(totp_step=step)
    )
    if cast("CursorResult[Any]", updated).rowcount != 1:
        raise SecondFactorUsed


async def refresh_session(app_context: AppContext, refresh_token: str) -> SessionTokens:
    """Exchange a refresh token for new tokens. A reused token revokes the session, because it may have been stolen."""
    at = app_context.clock()
    session_id, secret = parse_refresh_token(refresh_token)
    state = await unscoped_queries.load_session(app_context.database, session_id)
    if state is None or not state.is_valid(at):
        raise SessionRevoked
    used, fresh = hash_secret(secret), new_secret_token()
    async with app_context.database.transaction(state.actor.scope) as session:
        rotated = await session.execute(
            update(StaffSession)
            .where(
                StaffSession.id == session_id,
                StaffSession.refresh_hash == used,
                StaffSession.in_browser.is_(False),
                StaffSession.revoked_at.is_(None),
            )
            .values(refresh_hash=hash_secret(fresh), used_at=at)
        )
        is_rotated = cast("CursorResult[Any]", rotated).rowcount == 1
        if not is_rotated:
            await revoke_for_reuse(session, state.actor, session_id, at)
    if not is_rotated:
        raise SessionRevoked
    return issue_tokens(app_context, state.actor.account_id, session_id, fresh, at)


async def sign_out(session: AsyncSession, actor: Actor, session_id: UUID, at: datetime) -> None:
    """Revoke the session; its tokens are refused at the next request."""
    await revoke_session(session, session_id, at)
    audit.record(session, audit.Act("SignedOut", "account", str(actor.account_id), actor.org_path), at)
