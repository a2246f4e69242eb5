"""The second factor of a signed-in account: a code of the authenticator app, or an assertion by one of its passkeys."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.web.client import Client
from backend.identity.errors import FactorsWrong, PasskeyRefused
from backend.identity.passkeys.ceremonies import (
    Assertion,
    KnownKey,
    read_challenge,
    read_credential_id,
    relying_party,
    verify_assertion,
)
from backend.identity.passkeys.challenges import check_challenge, spend_challenge
from backend.identity.passkeys.tables import Passkey
from backend.identity.sign_in.attempts import forget_attempt, record_attempt, start_attempt
from backend.identity.sign_in.second_factor import find_matching_step, open_secret
from backend.identity.sign_in.staff_sign_in import consume_code
from backend.identity.sign_in.unscoped_queries import Attempt, Reason, StaffAccountState
from backend.identity.tables import Account


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """What the owner sends: a code, or the JSON of an assertion."""

    totp: str | None
    passkey: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class CheckedCode:
    """A right code, which takes effect once."""

    account_id: UUID
    step: int

    async def consume(self, session: AsyncSession, at: datetime) -> None:  # noqa: ARG002 - as `CheckedAssertion`
        """Mark the code as used; raises `SecondFactorUsed`."""
        await consume_code(session, self.account_id, self.step)


@dataclass(frozen=True, slots=True)
class CheckedAssertion:
    """A verified assertion, which takes effect once."""

    passkey_id: UUID
    challenge: bytes
    assertion: Assertion

    async def consume(self, session: AsyncSession, at: datetime) -> None:
        """Mark the challenge as answered and note the use; raises `PasskeyChallengeInvalid`."""
        await spend_challenge(session, self.challenge, at)
        await session.execute(
            update(Passkey)
            .where(Passkey.id == self.passkey_id)
            .values(sign_count=self.assertion.sign_count, backed_up=self.assertion.backed_up, used_at=at)
        )


async def check_second_factor(
    app_context: AppContext,
    actor: Actor,
    account: StaffAccountState | None,
    factor: SecondFactor,
    at: datetime,
) -> CheckedCode | CheckedAssertion | Reason:
    """Check the factor without using it up. Returns why it is wrong; raises `PasskeyChallengeInvalid`."""
    if account is None or account.status != "active" or account.totp_sealed is None:
        return "status"
    if factor.passkey is None:
        secret = open_secret(app_context.keys, actor.account_id, account.totp_sealed)
        step = find_matching_step(secret, factor.totp or "", at)
        return "code" if step is None else CheckedCode(actor.account_id, step)
    try:
        return await _check_assertion(app_context, actor, factor.passkey, at)
    except PasskeyRefused:
        return "passkey"


async def _check_assertion(
    app_context: AppContext, actor: Actor, credential: Mapping[str, Any], at: datetime
) -> CheckedAssertion:
    challenge = read_challenge(credential)
    check_challenge(app_context.keys, challenge, "confirm", actor.account_id, at)
    async with app_context.database.transaction(actor.scope) as session:
        row: Passkey | None = await session.scalar(
            select(Passkey).where(
                Passkey.credential_id == read_credential_id(credential), Passkey.removed_at.is_(None)
            )
        )
    if row is None:
        raise PasskeyRefused
    key = KnownKey(row.public_key, row.sign_count)
    made = verify_assertion(credential, challenge, relying_party(app_context.settings), key)
    return CheckedAssertion(row.id, challenge, made)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A right second factor for one act of a signed-in account."""

    factor: CheckedCode | CheckedAssertion
    attempt: Attempt

    async def complete(self, app_context: AppContext) -> None:
        """After the act: forget earlier failures."""
        await forget_attempt(app_context, self.attempt)


async def confirm_act(
    app_context: AppContext, actor: Actor, factor: SecondFactor, client: Client
) -> Confirmation:
    """Check the second factor for an act, which then consumes it in its own transaction.

    A wrong factor is counted and delayed like a sign-in. Raises `FactorsWrong` and `PasskeyChallengeInvalid`.
    """
    at = app_context.clock()
    async with app_context.database.transaction(actor.scope) as session:
        login = await session.scalar(select(Account.login).where(Account.id == actor.account_id)) or ""
    attempt = await start_attempt(app_context, login, None, client, at)
    checked = await check_second_factor(app_context, actor, attempt.account, factor, at)
    if isinstance(checked, str):
        await record_attempt(app_context, attempt, "refused", checked, client, at)
        raise FactorsWrong
    return Confirmation(checked, attempt)
