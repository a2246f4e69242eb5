"""The own passkeys of a staff account: register, list, rename, remove. Each act is audited."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.web.client import Client
from backend.identity.errors import (
    FactorsWrong,
    PasskeyKnown,
    PasskeyRefused,
    PasskeysTooMany,
    PasskeyUnverified,
)
from backend.identity.passkeys.ceremonies import read_challenge, relying_party, verify_registration
from backend.identity.passkeys.challenges import Purpose, check_challenge, issue_challenge, spend_challenge
from backend.identity.passkeys.confirmation import SecondFactor, check_second_factor
from backend.identity.passkeys.tables import Passkey
from backend.identity.policy import province_policy
from backend.identity.sign_in.attempts import forget_attempt, record_attempt, start_attempt
from backend.identity.tables import Account


@dataclass(frozen=True, slots=True)
class RegisterPasskey:
    """The answer of the browser, the name that the owner gives, and the second factor that confirms it."""

    credential: Mapping[str, Any]
    name: str
    factor: SecondFactor


@dataclass(frozen=True, slots=True)
class OpenCeremony:
    """What a page needs to ask an authenticator: the challenge, and the passkeys that the account has."""

    party_id: str
    challenge: bytes
    timeout_ms: int
    account_id: UUID | None = None
    login: str = ""
    display_name: str = ""
    credential_ids: tuple[bytes, ...] = ()


async def begin_ceremony(app_context: AppContext, actor: Actor | None, purpose: Purpose) -> OpenCeremony:
    """Issue a challenge. Without an actor, for a sign-in, any passkey of the deployment may answer it.

    Raises `PasskeysUnavailable`.
    """
    at = app_context.clock()
    party = relying_party(app_context.settings)
    lifetime = province_policy(app_context, at).duration("identity.passkey.challenge_lifetime")
    account_id = None if actor is None else actor.account_id
    challenge = issue_challenge(app_context.keys, purpose, account_id, at + lifetime)
    timeout = round(lifetime.total_seconds() * 1000)
    if actor is None:
        return OpenCeremony(party.id, challenge, timeout)
    async with app_context.database.transaction(actor.scope) as session:
        account = (await session.scalars(select(Account).where(Account.id == account_id))).one()
        ids = tuple(each.credential_id for each in await load_passkeys(session, actor))
    return OpenCeremony(
        party.id, challenge, timeout, account_id, account.login or "", account.display_name, ids
    )


async def register_passkey(
    app_context: AppContext, actor: Actor, command: RegisterPasskey, client: Client
) -> Passkey:
    """Add a passkey to the own account.

    A wrong second factor is counted and delayed like a sign-in. Raises `PasskeyUnverified`, `PasskeyChallengeInvalid`,
    `FactorsWrong`, `SecondFactorUsed`, `PasskeyKnown` and `PasskeysTooMany`.
    """
    at = app_context.clock()
    party = relying_party(app_context.settings)
    try:
        challenge = read_challenge(command.credential)
        check_challenge(app_context.keys, challenge, "register", actor.account_id, at)
        made = verify_registration(command.credential, challenge, party)
    except PasskeyRefused as error:
        raise PasskeyUnverified from error
    login = await _load_login(app_context, actor)
    attempt = await start_attempt(app_context, login, None, client, at)
    factor = await check_second_factor(app_context, actor, attempt.account, command.factor, at)
    if isinstance(factor, str):
        await record_attempt(app_context, attempt, "refused", factor, client, at)
        raise FactorsWrong
    limit = province_policy(app_context, at).integer("identity.passkey.max_per_account")
    row = Passkey(
        id=new_id(),
        account_id=actor.account_id,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        name=command.name,
        aaguid=made.aaguid,
        backed_up=made.backed_up,
        created_at=at,
    )
    async with app_context.database.transaction(actor.scope) as session:
        await factor.consume(session, at)
        await spend_challenge(session, challenge, at)
        await _require_room(session, actor, limit)
        session.add(row)
        try:
            await session.flush()
        except IntegrityError as error:
            raise PasskeyKnown from error
        _audit(session, "PasskeyRegistered", row, actor, at)
    await forget_attempt(app_context, attempt)
    return row


async def load_passkeys(session: AsyncSession, actor: Actor) -> list[Passkey]:
    """The own passkeys, oldest first."""
    own = select(Passkey).where(Passkey.account_id == actor.account_id, Passkey.removed_at.is_(None))
    return list(await session.scalars(own.order_by(Passkey.created_at, Passkey.id)))


async def rename_passkey(
    session: AsyncSession, actor: Actor, passkey_id: UUID, name: str, at: datetime
) -> Passkey:
    """Give an own passkey another name; raises `NotFound`."""
    row = await _load_own(session, actor, passkey_id)
    row.name = name
    _audit(session, "PasskeyRenamed", row, actor, at)
    return row


async def remove_passkey(session: AsyncSession, actor: Actor, passkey_id: UUID, at: datetime) -> None:
    """Remove an own passkey; it is refused from then on. Sessions that it opened stay. Raises `NotFound`."""
    row = await _load_own(session, actor, passkey_id)
    row.removed_at = at
    _audit(session, "PasskeyRemoved", row, actor, at)


async def _load_login(app_context: AppContext, actor: Actor) -> str:
    async with app_context.database.transaction(actor.scope) as session:
        return await session.scalar(select(Account.login).where(Account.id == actor.account_id)) or ""


async def _require_room(session: AsyncSession, actor: Actor, limit: int) -> None:
    own = Passkey.account_id == actor.account_id, Passkey.removed_at.is_(None)
    if (await session.scalar(select(func.count()).select_from(Passkey).where(*own)) or 0) >= limit:
        raise PasskeysTooMany(limit=limit)


async def _load_own(session: AsyncSession, actor: Actor, passkey_id: UUID) -> Passkey:
    own = select(Passkey).where(
        Passkey.id == passkey_id, Passkey.account_id == actor.account_id, Passkey.removed_at.is_(None)
    )
    row: Passkey | None = await session.scalar(own.with_for_update())
    if row is None:
        raise NotFound
    return row


def _audit(session: AsyncSession, action: str, row: Passkey, actor: Actor, at: datetime) -> None:
    after = {"passkey": str(row.id), "name": row.name}
    act = audit.Act(action, "account", str(actor.account_id), actor.org_path, after=after)
    audit.record(session, act, at)
