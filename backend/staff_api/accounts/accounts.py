"""Accounts below one's own: invite, list, renew a code, disable (HN334-2.3, HN334-3.2)."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.core.web.schema_types import Line, Schema
from backend.identity.accounts.staff_accounts import (
    AccountSearch,
    Invitation,
    InviteAccount,
    accounts_page,
    disable,
    invite,
    renew_invitation,
)
from backend.identity.policy import province_policy
from backend.identity.tables import Account
from backend.org.tables import OrgUnit
from backend.staff_api.accounts.sessions import Login, Phone
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id

router = APIRouter(prefix="/v1/accounts", tags=["账号 · accounts"])

StaffKind = Literal["bureau", "registrar", "counselor"]
Kind = Literal["province", "bureau", "registrar", "counselor", "student"]
Status = Literal["invited", "active", "disabled"]
KindFilter = Annotated[Kind | None, Query(description="账号类别 · kind of account")]
StatusFilter = Annotated[Status | None, Query(description="账号状态 · status of the account")]


class InvitationIn(Schema):
    """Whom to invite; a counselor's unit is the school."""

    kind: StaffKind = Field(examples=["counselor"])
    org_id: UUID
    login: Login = Field(examples=["li.laoshi"])
    display_name: Line = Field(examples=["李老师"])
    phone: Phone | None = Field(default=None, examples=["13800000000"])


class InvitationOut(BaseModel):
    """The new account and its activation code, which is shown this once."""

    account_id: UUID
    counselor_id: UUID | None
    activation_code: str = Field(examples=["ABCDEFGH23456723"])
    expires_at: datetime


class AccountOut(BaseModel):
    """An account as lists show it."""

    id: UUID
    kind: str = Field(examples=["registrar"])
    status: str = Field(examples=["active"])
    login: str | None = Field(examples=["zz.school1"])
    display_name: str = Field(examples=["王老师"])
    org_id: UUID
    org_name: str = Field(examples=["郑州市某某中等专业学校"])
    counselor_id: UUID | None
    created_at: datetime


class DisableIn(Schema):
    """Why the account is switched off."""

    reason: Line = Field(examples=["离职"])


def _invitation(invitation: Invitation) -> InvitationOut:
    account = invitation.account
    return InvitationOut(
        account_id=account.id,
        counselor_id=account.counselor_id,
        activation_code=invitation.activation_code,
        expires_at=invitation.expires_at,
    )


def _account(row: tuple[Account, OrgUnit]) -> AccountOut:
    account, unit = row
    return AccountOut(
        id=account.id,
        kind=account.kind,
        status=account.status,
        login=account.login,
        display_name=account.display_name,
        org_id=unit.id,
        org_name=unit.name,
        counselor_id=account.counselor_id,
        created_at=account.created_at,
    )


@router.post("", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def invite_account(body: InvitationIn, caller: StaffCaller) -> InvitationOut:
    """邀请下级账号 · Create an account directly below one's own."""
    command = InviteAccount(body.kind, body.org_id, body.login, body.display_name, body.phone)
    at = caller.at
    async with caller.transaction() as session:
        invitation = await invite(session, caller.actor, command, province_policy(caller.app_context, at), at)
    return _invitation(invitation)


@router.get("", responses=documented(401, 403, 422))
async def list_accounts(
    caller: StaffCaller,
    kind: KindFilter = None,
    status: StatusFilter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AccountOut]:
    """账号列表 · Accounts of the own unit and below."""
    search = AccountSearch(kind, status)
    async with caller.transaction() as session:
        rows = await accounts_page(session, caller.actor, search, position_id(cursor), limit + 1)
    return page_of(rows, limit, _account, lambda row: row[0].id)


@router.post("/{account_id}/invitation", responses=documented(401, 403, 404, 409, 422))
async def renew(account_id: UUID, caller: StaffCaller) -> InvitationOut:
    """重新发放激活码 · A fresh activation code; the old one is dead."""
    at = caller.at
    async with caller.transaction() as session:
        invitation = await renew_invitation(
            session, caller.actor, account_id, province_policy(caller.app_context, at), at
        )
    return _invitation(invitation)


@router.post("/{account_id}/disable", responses=documented(401, 403, 404, 422))
async def disable_account(account_id: UUID, body: DisableIn, caller: StaffCaller) -> AccountOut:
    """停用账号 · Switch an account off; it is refused at its next request."""
    async with caller.transaction() as session:
        account = await disable(session, caller.actor, account_id, body.reason, caller.at)
        unit = await session.get_one(OrgUnit, account.org_id)
    return _account((account, unit))
