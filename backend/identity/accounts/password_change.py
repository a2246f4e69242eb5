"""Changing the own password: needs the present one and a code; every other session and device is signed out."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from backend.core import audit
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.web.client import Client
from backend.identity.accounts.password_strength import require_uncommon_password
from backend.identity.accounts.passwords import hash_password, password_matches
from backend.identity.errors import FactorsWrong
from backend.identity.passkeys.confirmation import SecondFactor, check_second_factor
from backend.identity.policy import province_policy
from backend.identity.sign_in.attempts import forget_attempt, record_attempt, start_attempt
from backend.identity.sign_in.sessions import end_other_sessions
from backend.identity.sign_in.tables import SignInDevice, StaffSession
from backend.identity.tables import Account


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """Both factors, and the new password. `session_id` is the session that stays."""

    password: str
    factor: SecondFactor
    new_password: str
    session_id: UUID | None


async def change_password(
    app_context: AppContext, actor: Actor, command: ChangePassword, client: Client
) -> None:
    """Replace the own password.

    Wrong factors are counted and delayed like a sign-in. Raises `PasswordTooCommon`, `FactorsWrong` and
    `SecondFactorUsed`.
    """
    at = app_context.clock()
    async with app_context.database.transaction(actor.scope) as session:
        account = (await session.scalars(select(Account).where(Account.id == actor.account_id))).one()
        login, personal = account.login or "", (account.login, account.display_name, account.phone)
    policy = province_policy(app_context, at)
    await require_uncommon_password(command.new_password, tuple(each for each in personal if each), policy)
    attempt = await start_attempt(app_context, login, None, client, at)
    factor = await check_second_factor(app_context, actor, attempt.account, command.factor, at)
    stored_now = attempt.account.password_hash if attempt.account else None
    if not await password_matches(app_context, command.password, stored_now):
        factor = "password"
    if isinstance(factor, str):
        await record_attempt(app_context, attempt, "refused", factor, client, at)
        raise FactorsWrong
    stored = await hash_password(app_context, command.new_password)
    async with app_context.database.transaction(actor.scope) as session:
        await factor.consume(session, at)
        await session.execute(
            update(Account).where(Account.id == actor.account_id).values(password_hash=stored)
        )
        await end_other_sessions(session, actor, command.session_id, at)
        own = select(StaffSession.device_id).where(
            StaffSession.id == command.session_id, StaffSession.device_id.is_not(None)
        )
        others = SignInDevice.account_id == actor.account_id, SignInDevice.id.not_in(own)
        await session.execute(update(SignInDevice).where(*others).values(revoked_at=at))
        act = audit.Act("PasswordChanged", "account", str(actor.account_id), actor.org_path)
        audit.record(session, act, at)
    await forget_attempt(app_context, attempt)
