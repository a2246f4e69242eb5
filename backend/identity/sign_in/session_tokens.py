"""The tokens of a staff session, and the row that they belong to: for apps (`staff_sign_in`) and for browsers."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.web.client import Client
from backend.identity.errors import SessionRevoked
from backend.identity.policy import province_policy
from backend.identity.sign_in.access_tokens import IssuedToken, issue_staff_token
from backend.identity.sign_in.secrets import hash_secret, new_secret_token
from backend.identity.sign_in.sessions import revoke_session
from backend.identity.sign_in.tables import StaffSession


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """The tokens of a session. The refresh token is used once and then replaced.

    `device_token` marks the device as known to the account; a refresh returns none.
    """

    access: IssuedToken
    refresh_token: str
    device_token: str | None = None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that is opened for an account after its factors were checked."""

    app_context: AppContext
    actor: Actor
    client: Client
    at: datetime
    device_id: UUID | None
    in_browser: bool


def open_session(session: AsyncSession, new: NewSession) -> SessionTokens:
    """Add the session and its audit entry, and issue its tokens."""
    session_id, secret, account_id = new_id(), new_secret_token(), new.actor.account_id
    lifetime = province_policy(new.app_context, new.at).duration("identity.staff_session.lifetime")
    session.add(
        StaffSession(
            id=session_id,
            account_id=account_id,
            refresh_hash=hash_secret(secret),
            in_browser=new.in_browser,
            created_at=new.at,
            used_at=new.at,
            expires_at=new.at + lifetime,
            device_id=new.device_id,
            address=new.client.address,
            user_agent=new.client.user_agent,
        )
    )
    audit.record(session, audit.Act("SignedIn", "account", str(account_id), new.actor.org_path), new.at)
    return issue_tokens(new.app_context, account_id, session_id, secret, new.at)


def issue_tokens(
    app_context: AppContext, account_id: UUID, session_id: UUID, secret: str, at: datetime
) -> SessionTokens:
    """A new access token, and the refresh token with this secret."""
    life = province_policy(app_context, at).duration("identity.token.lifetime")
    access = issue_staff_token(app_context.keys, account_id, session_id, at, life)
    return SessionTokens(access, f"{session_id}.{secret}")


def parse_refresh_token(refresh_token: str) -> tuple[UUID, str]:
    """The session and the secret; raises `SessionRevoked` for any other text."""
    head, _, secret = refresh_token.partition(".")
    try:
        return UUID(head), secret
    except ValueError as error:
        raise SessionRevoked from error


async def revoke_for_reuse(session: AsyncSession, actor: Actor, session_id: UUID, at: datetime) -> None:
    """Revoke a session whose refresh token was used again, because it may have been stolen."""
    await revoke_session(session, session_id, at)
    act = audit.Act("RefreshTokenReused", "account", str(actor.account_id), actor.org_path)
    audit.record(session, act, at)
