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
from backend.identity import unscoped_queries
from backend.identity.accounts.passwords import hash_password
from backend.identity.errors import ActivationRefused, LoginTaken
from backend.identity.rules import KIND_OF_UNIT, Unit, may_manage
from backend.identity.sign_in.second_factor import (
    matching_step,
    new_secret,
    open_secret,
    otpauth_uri,
    seal_secret,
)
from backend.identity.sign_in.staff_sign_in import charge_attempt, digest, use_code
from backend.identity.tables import Account
from backend.org.queries import unit_below
from backend.org.tables import OrgUnit
from backend.people.tables import Counselor
from backend.policy import PolicyAt

_CODE_BYTES = 10


@dataclass(frozen=True, slots=True)
class InviteAccount:
    """Whom a superior invites; a counselor's unit is the school."""

    kind: Role
    org_id: UUID
    login: str
    display_name: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """The account, and the code that is shown this once."""

    account: Account
    activation_code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BeginActivation:
    """The invited person's own password and profile."""

    login: str
    activation_code: str
    password: str
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class ConfirmActivation:
    """The first code of the second factor completes the activation."""

    login: str
    activation_code: str
    totp: str


async def invite(
    session: AsyncSession, actor: Actor, command: InviteAccount, law: PolicyAt, at: datetime
) -> Invitation:
    """Create an account below one's own; raises NotFound for a unit elsewhere, NotPermitted, LoginTaken."""
    unit = await unit_below(session, actor, command.org_id)
    _must_manage(actor, command.kind, unit)
    return await _open(session, command, unit, law, at, actor.account_id)


async def invite_first(
    session: AsyncSession, command: InviteAccount, law: PolicyAt, at: datetime
) -> Invitation:
    """The province's first account, which nobody is above to create; refused once there is one."""
    unit = await session.get(OrgUnit, command.org_id, with_for_update=True)
    if unit is None or KIND_OF_UNIT.get(unit.kind) != "province" or command.kind != "province":
        raise BadInput(field="org_id", reason_zh="应为省级单位", reason_en="it is the province")
    existing = select(Account.id).where(Account.kind == "province", Account.org_id == unit.id).limit(1)
    if await session.scalar(existing) is not None:
        raise Conflict(reason_zh="省级账号已存在", reason_en="the province has an account already")
    return await _open(session, command, unit, law, at, None)


async def _open(
    session: AsyncSession,
    command: InviteAccount,
    unit: OrgUnit,
    law: PolicyAt,
    at: datetime,
    created_by: UUID | None,
) -> Invitation:
    code, until = _new_code(), at + law.duration("identity.activation_code.lifetime")
    school_id = unit.id if unit.kind == "school" else None
    counselor_id = None
    if command.kind == "counselor":
        counselor_id = new_id()
        session.add(
            Counselor(
                id=counselor_id,
                school_id=unit.id,
                name=command.display_name,
                phone=command.phone,
                profile={},
                created_at=at,
            )
        )
        await session.flush()
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
        activation_hash=digest(code),
        activation_until=until,
        failed_attempts=0,
        created_by=created_by,
        created_at=at,
    )
    session.add(account)
    try:
        await session.flush()
    except IntegrityError as error:
        raise LoginTaken(login=command.login) from error
    _trace(session, account, "AccountInvited", {"kind": account.kind, "login": account.login}, at)
    return Invitation(account, code, until)


def _new_code() -> str:
    """80 random bits in letters and digits that survive being read out."""
    return base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()


async def renew_invitation(
    session: AsyncSession, actor: Actor, account_id: UUID, law: PolicyAt, at: datetime
) -> Invitation:
    """A fresh code for somebody who let the first one expire; the old one is dead."""
    account = await _managed(session, actor, account_id)
    if account.status != "invited":
        raise Conflict(reason_zh="该账号已激活或已停用", reason_en="the account is active or disabled")
    code, until = _new_code(), at + law.duration("identity.activation_code.lifetime")
    account.activation_hash, account.activation_until = digest(code), until
    account.password_hash = account.totp_sealed = None
    _trace(session, account, "AccountInvited", {"kind": account.kind, "login": account.login}, at)
    return Invitation(account, code, until)


async def begin_activation(app_context: AppContext, command: BeginActivation) -> str:
    """Set password, profile and a second factor; returns the otpauth URI for the authenticator app."""
    at = app_context.clock()
    facts = await _invited(app_context, command.login, command.activation_code, at)
    account_id = facts.actor.account_id
    password_hash = await hash_password(app_context, command.password)
    secret = new_secret()
    async with app_context.database.transaction(facts.actor.scope) as session:
        await _update(
            session,
            facts,
            {
                "password_hash": password_hash,
                "totp_sealed": seal_secret(app_context.keys, account_id, secret),
                "display_name": command.name,
                "phone": command.phone,
                "failed_attempts": 0,
                "blocked_until": None,
            },
        )
    return otpauth_uri(secret, command.login)


async def confirm_activation(app_context: AppContext, command: ConfirmActivation) -> UUID:
    """Prove the second factor; the account is active and the code used up. Returns the account."""
    at = app_context.clock()
    facts = await _invited(app_context, command.login, command.activation_code, at)
    account_id = facts.actor.account_id
    if facts.totp_sealed is None:
        raise ActivationRefused
    step = matching_step(open_secret(app_context.keys, account_id, facts.totp_sealed), command.totp, at)
    if step is None:
        raise ActivationRefused
    async with app_context.database.transaction(facts.actor.scope) as session:
        await use_code(session, account_id, step)
        await _update(session, facts, {"status": "active", "activation_hash": None, "activation_until": None})
        account = (await session.scalars(select(Account).where(Account.id == account_id))).one()
        if account.counselor_id is not None:
            await session.execute(
                update(Counselor)
                .where(Counselor.id == account.counselor_id)
                .values(name=account.display_name, phone=account.phone)
            )
        _trace(session, account, "AccountActivated", {"kind": account.kind}, at)
        await outbox.emit(session, "AccountActivated", {"account_id": str(account_id)}, at)
    return account_id


async def _invited(
    app_context: AppContext, login: str, code: str, at: datetime
) -> unscoped_queries.SignInFacts:
    """The invited account this code opens, the attempt charged; raises ActivationRefused for whatever is wrong."""
    facts = await charge_attempt(app_context, login, at)
    if facts is None or facts.status != "invited" or facts.activation_hash is None:
        raise ActivationRefused
    if not hmac.compare_digest(digest(code.strip().upper()), facts.activation_hash):
        raise ActivationRefused
    if facts.activation_until is None or at >= facts.activation_until:
        raise ActivationRefused
    return facts


async def _update(session: AsyncSession, facts: unscoped_queries.SignInFacts, values: dict[str, Any]) -> None:
    """Change the account only while the same code still opens it, whoever else is at it."""
    changed = await session.scalar(
        update(Account)
        .where(
            Account.id == facts.actor.account_id,
            Account.status == "invited",
            Account.activation_hash == facts.activation_hash,
        )
        .values(**values)
        .returning(Account.id)
    )
    if changed is None:
        raise ActivationRefused


async def disable(
    session: AsyncSession, actor: Actor, account_id: UUID, reason: str, at: datetime
) -> Account:
    """Switch an account off; it is refused at its next request. Repeating changes nothing."""
    account = await _managed(session, actor, account_id)
    if account.status != "disabled":
        before = {"status": account.status}
        account.status = "disabled"
        _trace(session, account, "AccountDisabled", {"status": "disabled", "reason": reason}, at, before)
        await outbox.emit(session, "AccountDisabled", {"account_id": str(account.id)}, at)
    return account


async def _managed(session: AsyncSession, actor: Actor, account_id: UUID) -> Account:
    locked = select(Account).where(Account.id == account_id).with_for_update()
    account = (await session.scalars(locked)).one_or_none()
    if account is None or actor.role == "counselor":
        raise NotFound
    unit = await session.get(OrgUnit, account.org_id)
    assert unit is not None
    _must_manage(actor, account.kind, unit)
    return account


def _must_manage(actor: Actor, kind: str, unit: OrgUnit) -> None:
    at_unit = Unit(str(unit.id), unit.kind, str(unit.parent_id) if unit.parent_id else None)
    if not may_manage(actor.role, str(actor.org_id), kind, at_unit):
        raise NotPermitted(
            reason_zh="账号由直接上级管理：省管市县与省直学校，市县管所属学校，学校管理员管辅导员和学生",
            reason_en=(
                "accounts are managed by the direct superior: province → bureaus and its own schools, bureau → the "
                "units directly under it, registrar → counselors and students"
            ),
        )


def _trace(
    session: AsyncSession,
    account: Account,
    action: str,
    after: dict[str, Any],
    at: datetime,
    before: dict[str, Any] | None = None,
) -> None:
    act = audit.Act(action, "account", str(account.id), account.org_path, before=before, after=after)
    audit.record(session, act, at)


async def own_account(session: AsyncSession, actor: Actor) -> tuple[Account, OrgUnit]:
    """The acting account and its unit."""
    query = (
        select(Account, OrgUnit)
        .join(OrgUnit, OrgUnit.id == Account.org_id)
        .where(Account.id == actor.account_id)
    )
    account, unit = (await session.execute(query)).one()
    return account, unit


@dataclass(frozen=True, slots=True)
class AccountSearch:
    """Which accounts to list, by kind and status."""

    kind: str | None
    status: str | None


async def accounts_page(
    session: AsyncSession, actor: Actor, search: AccountSearch, after: UUID | None, limit: int
) -> list[tuple[Account, OrgUnit]]:
    """Accounts of the own unit and below in the order of creation; a counselor manages none."""
    if actor.role == "counselor":
        raise NotPermitted(reason_zh="辅导员不管理账号", reason_en="a counselor manages no accounts")
    query = (
        select(Account, OrgUnit).join(OrgUnit, OrgUnit.id == Account.org_id).order_by(Account.id).limit(limit)
    )
    if search.kind is not None:
        query = query.where(Account.kind == search.kind)
    if search.status is not None:
        query = query.where(Account.status == search.status)
    if after is not None:
        query = query.where(Account.id > after)
    return [(account, unit) for account, unit in await session.execute(query)]
