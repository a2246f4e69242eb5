"""Staff accounts: invited by the direct superior, activated with a code, a password and a second factor (HN334-3.2)."""

import base64
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor, Role
from backend.core.app_context import AppContext
from backend.core.errors import BadInput, Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.web.client import Client
from backend.identity.accounts.password_strength import require_uncommon_password
from backend.identity.accounts.passwords import hash_password
from backend.identity.errors import ActivationRefused, LoginTaken
from backend.identity.events import AccountActivated, AccountDisabled, AccountEnabled
from backend.identity.policy import province_policy
from backend.identity.rules import MANAGING_ROLES, Unit, may_manage
from backend.identity.sign_in.attempts import (
    forget_attempt,
    record_attempt,
    start_address_attempt,
)
from backend.identity.sign_in.second_factor import (
    find_matching_step,
    new_secret,
    open_secret,
    otpauth_uri,
    seal_secret,
)
from backend.identity.sign_in.secrets import hash_secret
from backend.identity.sign_in.staff_sign_in import consume_code
from backend.identity.sign_in.unscoped_queries import (
    Attempt,
    StaffAccountState,
    end_staff_sessions,
)
from backend.identity.tables import Account
from backend.org.queries import get_unit_in_subtree
from backend.org.tables import OrgUnit
from backend.people.tables import Counselor
from backend.policy import PolicyAt

_CODE_BYTES = 10


@dataclass(frozen=True, slots=True)
class InviteAccount:
    """The account to invite; a counselor's unit is the school."""

    kind: Role
    org_id: UUID
    login: str
    display_name: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """The account and its activation code, which is shown only once."""

    account: Account
    activation_code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BeginActivation:
    """The password and profile that the invited person enters."""

    login: str
    activation_code: str
    password: str
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class ConfirmActivation:
    """The first code of the second factor, which completes the activation."""

    login: str
    activation_code: str
    totp: str


async def invite_account(
    session: AsyncSession, actor: Actor, command: InviteAccount, policy: PolicyAt, at: datetime
) -> Invitation:
    """Create an account directly below the actor's.

    Raises `NotFound` for a unit outside the actor's subtree, `NotPermitted` and `LoginTaken`.
    """
    unit = await get_unit_in_subtree(session, actor, command.org_id)
    _require_manager(actor, command.kind, unit)
    return await create_account(session, command, unit, policy, at, actor.account_id)


async def invite_first_account(
    session: AsyncSession, command: InviteAccount, policy: PolicyAt, at: datetime
) -> Invitation:
    """Create the province's first account, which has no superior; raises `Conflict` once there is one."""
    unit = await session.get(OrgUnit, command.org_id, with_for_update=True)
    if unit is None or MANAGING_ROLES.get(unit.kind) != "province" or command.kind != "province":
        raise BadInput(field="org_id", reason_zh="应为省级单位", reason_en="must be the province")
    existing = select(Account.id).where(Account.kind == "province", Account.org_id == unit.id).limit(1)
    if await session.scalar(existing) is not None:
        raise Conflict(reason_zh="省级账号已存在", reason_en="the province already has an account")
    return await create_account(session, command, unit, policy, at, None)


async def create_account(
    session: AsyncSession,
    command: InviteAccount,
    unit: OrgUnit,
    policy: PolicyAt,
    at: datetime,
    created_by: UUID | None,
) -> Invitation:
    """Create an invited account of the unit, without any check of authority; raises `LoginTaken`."""
    code, until = _new_activation_code(), at + policy.duration("identity.activation_code.lifetime")
    school_id = unit.id if unit.kind == "school" else None
    counselor_id = await _create_counselor(session, command, at) if command.kind == "counselor" else None
    account = Account(
        id=new_id(),
        kind=command.kind,
        org_id=unit.id,
        org_path=unit.path,
        school_id=school_id,
        counselor_id=counselor_id,
        login=command.login,
        display_name=command.display_name,
        phone=command.phone,
        status="invited",
        activation_hash=hash_secret(code),
        activation_until=until,
        created_by=created_by,
        created_at=at,
    )
    session.add(account)
    try:
        await session.flush()
    except IntegrityError as error:
        raise LoginTaken(login=command.login) from error
    _audit(session, account, "AccountInvited", {"kind": account.kind, "login": account.login}, at)
    return Invitation(account, code, until)


async def _create_counselor(session: AsyncSession, command: InviteAccount, at: datetime) -> UUID:
    counselor = Counselor(
        id=new_id(),
        school_id=command.org_id,
        name=command.display_name,
        phone=command.phone,
        profile={},
        created_at=at,
    )
    session.add(counselor)
    await session.flush()
    return counselor.id


def _new_activation_code() -> str:
    """80 random bits in base32, which can be read out without confusion."""
    return base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()


async def renew_invitation(
    session: AsyncSession, actor: Actor, account_id: UUID, policy: PolicyAt, at: datetime
) -> Invitation:
    """Issue a new code to an invited account; the old code stops working."""
    account = await _load_managed(session, actor, account_id)
    if account.status != "invited":
        raise Conflict(
            reason_zh="该账号已激活或已停用", reason_en="the account is already active or disabled"
        )
    return issue_activation_code(session, account, policy, at)


def issue_activation_code(
    session: AsyncSession, account: Account, policy: PolicyAt, at: datetime
) -> Invitation:
    """Give an account a new activation code; its password and second factor stop working."""
    code, until = _new_activation_code(), at + policy.duration("identity.activation_code.lifetime")
    account.activation_hash, account.activation_until = hash_secret(code), until
    account.password_hash = account.totp_sealed = None
    _audit(session, account, "AccountInvited", {"kind": account.kind, "login": account.login}, at)
    return Invitation(account, code, until)


async def begin_activation(app_context: AppContext, command: BeginActivation, client: Client) -> str:
    """Store password, profile and a new second factor; returns the otpauth URI for the authenticator app."""
    at = app_context.clock()
    credentials = await _load_invited(app_context, command.login, command.activation_code, client, at)
    account_id = credentials.actor.account_id
    personal = (command.login, command.name, command.phone)
    await require_uncommon_password(command.password, personal, province_policy(app_context, at))
    password_hash = await hash_password(app_context, command.password)
    secret = new_secret()
    async with app_context.database.transaction(credentials.actor.scope) as session:
        await _update_invited(
            session,
            credentials,
            {
                "password_hash": password_hash,
                "totp_sealed": seal_secret(app_context.keys, account_id, secret),
                "display_name": command.name,
                "phone": command.phone,
            },
        )
    return otpauth_uri(secret, command.login)


async def confirm_activation(app_context: AppContext, command: ConfirmActivation, client: Client) -> UUID:
    """Check the second factor and make the account active, which uses up the code. Returns the account's id."""
    at = app_context.clock()
    credentials = await _load_invited(app_context, command.login, command.activation_code, client, at)
    account_id = credentials.actor.account_id
    if credentials.totp_sealed is None:
        raise ActivationRefused
    step = find_matching_step(
        open_secret(app_context.keys, account_id, credentials.totp_sealed), command.totp, at
    )
    if step is None:
        raise ActivationRefused
    async with app_context.database.transaction(credentials.actor.scope) as session:
        await consume_code(session, account_id, step)
        await _update_invited(
            session, credentials, {"status": "active", "activation_hash": None, "activation_until": None}
        )
        account = (await session.scalars(select(Account).where(Account.id == account_id))).one()
        if account.counselor_id is not None:
            await session.execute(
                update(Counselor)
                .where(Counselor.id == account.counselor_id)
                .values(name=account.display_name, phone=account.phone)
            )
        _audit(session, account, "AccountActivated", {"kind": account.kind}, at)
        await outbox.emit(session, AccountActivated(account_id=account_id), at)
    return account_id


async def _load_invited(
    app_context: AppContext, login: str, code: str, client: Client, at: datetime
) -> StaffAccountState:
    """The invited account with this login and code; counts the attempt.

    Raises `ActivationRefused` for every cause alike.
    """
    attempt = await start_address_attempt(app_context, login, client, at)
    if attempt.account is None or not _is_code_valid(attempt, code, at):
        await record_attempt(app_context, attempt, "refused", "activation_code", client, at)
        raise ActivationRefused
    await forget_attempt(app_context, attempt)
    return attempt.account


def _is_code_valid(attempt: Attempt, code: str, at: datetime) -> bool:
    """Whether the account is invited and this is its code. Without an account, a placeholder is compared."""
    account = attempt.account
    stored = (account.activation_hash if account else None) or hash_secret("")
    matches = hmac.compare_digest(hash_secret(code.strip().upper()), stored)
    until = account.activation_until if account else None
    return (
        matches and account is not None and account.status == "invited" and until is not None and at < until
    )


async def _update_invited(
    session: AsyncSession, credentials: StaffAccountState, values: dict[str, Any]
) -> None:
    """Update the account, unless the code was used or renewed by a parallel request."""
    changed = await session.scalar(
        update(Account)
        .where(
            Account.id == credentials.actor.account_id,
            Account.status == "invited",
            Account.activation_hash == credentials.activation_hash,
        )
        .values(**values)
        .returning(Account.id)
    )
    if changed is None:
        raise ActivationRefused


async def disable_account(
    session: AsyncSession, actor: Actor, account_id: UUID, reason: str, at: datetime
) -> Account:
    """Disable an account and end its sessions. Repeating has no effect. An account cannot disable itself."""
    account = await _load_managed(session, actor, account_id)
    if account.id == actor.account_id:
        raise Conflict(reason_zh="不能停用本人的账号", reason_en="you cannot disable your own account")
    if account.status != "disabled":
        before = {"status": account.status}
        account.status = "disabled"
        _audit(session, account, "AccountDisabled", {"status": "disabled", "reason": reason}, at, before)
        await outbox.emit(session, AccountDisabled(account_id=account.id), at)
        await session.flush()
        await end_staff_sessions(session, account.id, at)
    return account


async def enable_account(
    session: AsyncSession, actor: Actor, account_id: UUID, reason: str, at: datetime
) -> Account:
    """Enable a disabled account. One that was never activated is invited again and needs a new code.

    Ended sessions stay ended. Raises `Conflict` for an account that is not disabled.
    """
    account = await _load_managed(session, actor, account_id)
    if account.status != "disabled":
        raise Conflict(reason_zh="该账号没有停用", reason_en="the account is not disabled")
    has_factors = account.password_hash is not None and account.totp_sealed is not None
    is_activated = account.kind == "student" or (has_factors and account.activation_hash is None)
    account.status = "active" if is_activated else "invited"
    after = {"status": account.status, "reason": reason}
    _audit(session, account, "AccountEnabled", after, at, {"status": "disabled"})
    await outbox.emit(session, AccountEnabled(account_id=account.id), at)
    return account


async def _load_managed(session: AsyncSession, actor: Actor, account_id: UUID) -> Account:
    locked = select(Account).where(Account.id == account_id).with_for_update()
    account = (await session.scalars(locked)).one_or_none()
    if account is None or actor.role == "counselor":
        raise NotFound
    unit = await session.get(OrgUnit, account.org_id)
    assert unit is not None
    _require_manager(actor, account.kind, unit)
    return account


def _require_manager(actor: Actor, kind: str, unit: OrgUnit) -> None:
    at_unit = Unit(str(unit.id), unit.kind, str(unit.parent_id) if unit.parent_id else None)
    if not may_manage(actor.role, str(actor.org_id), kind, at_unit):
        raise NotPermitted(
            reason_zh="账号由直接上级管理：省管市县与省直学校，市县管所属学校，学校管理员管辅导员和学生；省级账号之间可互相管理",
            reason_en=(
                "accounts are managed by the direct superior: province → bureaus and its own schools, bureau → the "
                "units directly under it, registrar → counselors and students; province accounts also manage each other"
            ),
        )


def _audit(
    session: AsyncSession,
    account: Account,
    action: str,
    after: dict[str, Any],
    at: datetime,
    before: dict[str, Any] | None = None,
) -> None:
    act = audit.Act(action, "account", str(account.id), account.org_path, before=before, after=after)
    audit.record(session, act, at)
