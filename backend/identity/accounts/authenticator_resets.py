"""Resetting the second factor of an account whose owner lost it: one person requests, another approves.

The approval ends every session and returns an activation code. The owner activates the account again with it: a new
password and a new authenticator.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import BadInput, Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.identity.accounts.staff_accounts import Invitation, issue_activation_code
from backend.identity.events import AuthenticatorResetDecided, AuthenticatorResetRequested
from backend.identity.rules import may_reset_authenticator
from backend.identity.sign_in.unscoped_queries import end_staff_sessions
from backend.identity.tables import Account, AuthenticatorReset, AuthenticatorResetDecision
from backend.policy import PolicyAt

ResetOutcome = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True)
class DecideReset:
    """The answer of the second person."""

    reset_id: UUID
    outcome: ResetOutcome
    note: str | None


@dataclass(frozen=True, slots=True)
class ResetView:
    """A request with its account, and the decision once there is one."""

    reset: AuthenticatorReset
    login: str | None
    display_name: str
    decision: AuthenticatorResetDecision | None


async def request_reset(
    session: AsyncSession, actor: Actor, account_id: UUID, reason: str, at: datetime
) -> ResetView:
    """Request a reset for an active account of the own unit or below. Raises `Conflict` while one is open."""
    account = await _load_account(session, actor, account_id)
    if account.status != "active":
        raise Conflict(
            reason_zh="只有已启用的账号可以重置验证器；未激活的请重新发放激活码，已停用的请先恢复",
            reason_en="only an active account can be reset; renew the code of an invited one, enable a disabled one first",
        )
    if any(view.decision is None for view in await load_resets(session, account_id=account_id)):
        raise Conflict(reason_zh="该账号已有待复核的重置申请", reason_en="a request for this account is open")
    reset = AuthenticatorReset(
        id=new_id(),
        account_id=account.id,
        org_path=account.org_path,
        reason=reason,
        requested_by=actor.account_id,
        at=at,
    )
    session.add(reset)
    await session.flush()
    _audit(session, reset, "AuthenticatorResetRequested", {"reason": reason}, at)
    event = AuthenticatorResetRequested(path=account.org_path, account_id=account.id, reset_id=reset.id)
    await outbox.emit(session, event, at)
    return ResetView(reset, account.login, account.display_name, None)


async def decide_reset(
    session: AsyncSession, actor: Actor, command: DecideReset, policy: PolicyAt, at: datetime
) -> tuple[ResetView, Invitation | None]:
    """Approve or refuse a request of another person. Approved, the account must be activated again with the code."""
    found = select(AuthenticatorReset).where(AuthenticatorReset.id == command.reset_id)
    reset = (await session.scalars(found)).one_or_none()
    if reset is None:
        raise NotFound
    account = await _load_account(session, actor, reset.account_id)
    if actor.account_id == reset.requested_by:
        raise NotPermitted(
            reason_zh="须由另一人复核：申请人不能批准自己的申请",
            reason_en="another person must decide; you cannot approve your own request",
        )
    if await session.get(AuthenticatorResetDecision, reset.id) is not None:
        raise Conflict(reason_zh="该申请已处理", reason_en="this request was already decided")
    decision = AuthenticatorResetDecision(
        reset_id=reset.id,
        org_path=reset.org_path,
        requested_by=reset.requested_by,
        decided_by=actor.account_id,
        outcome=command.outcome,
        note=command.note,
        at=at,
    )
    session.add(decision)
    invitation = None
    if command.outcome == "approved":
        account.status = "invited"
        invitation = issue_activation_code(session, account, policy, at)
        await session.flush()
        await end_staff_sessions(session, account.id, at)
    _audit(session, reset, "AuthenticatorResetDecided", {"outcome": command.outcome}, at)
    event = AuthenticatorResetDecided(
        path=account.org_path, account_id=account.id, reset_id=reset.id, outcome=command.outcome
    )
    await outbox.emit(session, event, at)
    await session.flush()
    return ResetView(reset, account.login, account.display_name, decision), invitation


@dataclass(frozen=True, slots=True)
class OperatorReset:
    """A reset on the server itself, by two persons who are present; their names are recorded."""

    login: str
    reason: str
    requested_by: str
    approved_by: str


async def reset_by_operators(
    session: AsyncSession, command: OperatorReset, policy: PolicyAt, at: datetime
) -> Invitation:
    """Reset an account of the province, which may have no two other accounts. Raises `BadInput` and `NotFound`."""
    names = {command.requested_by, command.approved_by}
    if len(names) != 2 or "" in names:  # noqa: PLR2004 - two persons
        raise BadInput(
            field="approved_by",
            reason_zh="须由两名不同的人员办理并写明姓名",
            reason_en="two different persons must act and be named",
        )
    found = select(Account).where(
        Account.login == command.login, Account.kind == "province", Account.status == "active"
    )
    account = (await session.scalars(found.with_for_update())).one_or_none()
    if account is None:
        raise NotFound
    account.status = "invited"
    invitation = issue_activation_code(session, account, policy, at)
    await session.flush()
    await end_staff_sessions(session, account.id, at)
    after = {
        "reason": command.reason,
        "requested_by": command.requested_by,
        "approved_by": command.approved_by,
    }
    act = audit.Act(
        "AuthenticatorResetByOperators", "account", str(account.id), account.org_path, after=after
    )
    audit.record(session, act, at)
    return invitation


async def load_resets(
    session: AsyncSession,
    before: UUID | None = None,
    limit: int = 50,
    *,
    account_id: UUID | None = None,
) -> list[ResetView]:
    """At most `limit` requests in the session's scope before an id, newest first."""
    query = (
        select(AuthenticatorReset, Account.login, Account.display_name, AuthenticatorResetDecision)
        .join(Account, Account.id == AuthenticatorReset.account_id)
        .outerjoin(AuthenticatorResetDecision, AuthenticatorResetDecision.reset_id == AuthenticatorReset.id)
        .order_by(AuthenticatorReset.id.desc())
        .limit(limit)
    )
    if account_id is not None:
        query = query.where(AuthenticatorReset.account_id == account_id)
    if before is not None:
        query = query.where(AuthenticatorReset.id < before)
    return [ResetView(*row) for row in await session.execute(query)]


async def load_resets_page(
    session: AsyncSession, actor: Actor, before: UUID | None, limit: int
) -> list[ResetView]:
    """The requests of the own unit and below; not for counselors."""
    if actor.role == "counselor":
        raise NotPermitted(reason_zh="辅导员不管理账号", reason_en="a counselor does not manage accounts")
    return await load_resets(session, before, limit)


async def _load_account(session: AsyncSession, actor: Actor, account_id: UUID) -> Account:
    locked = select(Account).where(Account.id == account_id).with_for_update()
    account = (await session.scalars(locked)).one_or_none()
    if account is None or actor.role == "counselor":
        raise NotFound
    if not may_reset_authenticator(
        actor.role, actor.org_path, account.kind, account.org_path, own=actor.account_id == account.id
    ):
        raise NotPermitted(
            reason_zh="本人不能为自己申请或复核；学生没有验证器",
            reason_en="you cannot request or approve the reset of your own account; students have no authenticator",
        )
    return account


def _audit(
    session: AsyncSession, reset: AuthenticatorReset, action: str, after: dict[str, str], at: datetime
) -> None:
    values = after | {"reset_id": str(reset.id)}
    act = audit.Act(action, "account", str(reset.account_id), reset.org_path, after=values)
    audit.record(session, act, at)
