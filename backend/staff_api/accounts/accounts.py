"""Staff endpoints for the accounts below one's own: invite, list, renew a code, disable (HN334-2.3, HN334-3.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.accounts import authenticator_resets, staff_accounts
from backend.identity.accounts.queries import (
    AccountSearch,
    AccountSort,
    load_account,
    load_account_page,
)
from backend.identity.accounts.reset_schemas import reset_out
from backend.identity.accounts.schemas import (
    AccountKind,
    AccountOut,
    AccountStatus,
    DisableIn,
    EnableIn,
    InvitationIn,
    InvitationOut,
    ResetOut,
    ResetRequestIn,
    account_out,
    invitation_out,
)
from backend.identity.names import with_names
from backend.identity.policy import province_policy
from backend.org.tables import OrgUnit
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText

router = APIRouter(prefix="/v1/accounts", tags=["账号 · accounts"])

KindFilter = Annotated[AccountKind | None, Query(description="账号类别 · kind of account")]
StatusFilter = Annotated[AccountStatus | None, Query(description="账号状态 · status of the account")]
UnitFilter = Annotated[UUID | None, Query(description="只列某机构 · only of this unit")]
StaffOnly = Annotated[bool, Query(description="不列学生账号 · without the accounts of students")]


@router.post("", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
async def invite_staff_account(body: InvitationIn, caller: StaffCaller) -> InvitationOut:
    """邀请下级账号 · Create an account directly below one's own."""
    command = staff_accounts.InviteAccount(body.kind, body.org_id, body.login, body.display_name, body.phone)
    policy = province_policy(caller.app_context, caller.at)
    async with caller.transaction() as session:
        invitation = await staff_accounts.invite_account(session, caller.actor, command, policy, caller.at)
        unit = await session.get_one(OrgUnit, invitation.account.org_id)
    return invitation_out(invitation, unit, caller.app_context.settings.public_url)


@router.get("", responses=problem_responses(401, 403, 422))
async def list_accounts(
    caller: StaffCaller,
    kind: KindFilter = None,
    status: StatusFilter = None,
    org_id: UnitFilter = None,
    q: SearchText = None,
    *,
    staff_only: StaffOnly = False,
    sort: AccountSort = "created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    total: WithTotal = False,
) -> CountedPage[AccountOut]:
    """账号列表 · List the accounts of the own unit and below. `q` finds staff by name or login.

    除按创建先后外，其他排序只列教职工账号 · Sorts other than by creation list accounts of staff only.
    """
    search = AccountSearch(kind, status, org_id, q, staff_only)
    async with caller.transaction() as session:
        page = await load_account_page(session, caller.actor, search, PageRequest(limit, cursor, sort, total))
    return page.render_counted(account_out)


@router.get("/{account_id}", responses=problem_responses(401, 403, 404, 422))
async def get_account(account_id: UUID, caller: StaffCaller) -> AccountOut:
    """一个账号 · Get an account of the own unit or below."""
    async with caller.transaction() as session:
        view = await load_account(session, caller.actor, account_id)
    return account_out(view)


@router.post("/{account_id}/invitation", responses=problem_responses(401, 403, 404, 409, 422))
async def renew_invitation(account_id: UUID, caller: StaffCaller) -> InvitationOut:
    """重新发放激活码 · Issue a new activation code; the old one stops working."""
    policy = province_policy(caller.app_context, caller.at)
    async with caller.transaction() as session:
        invitation = await staff_accounts.renew_invitation(
            session, caller.actor, account_id, policy, caller.at
        )
        unit = await session.get_one(OrgUnit, invitation.account.org_id)
    return invitation_out(invitation, unit, caller.app_context.settings.public_url)


@router.post("/{account_id}/disable", responses=problem_responses(401, 403, 404, 409, 422))
async def disable_account(account_id: UUID, body: DisableIn, caller: StaffCaller) -> AccountOut:
    """停用账号 · Disable an account; its sessions end at once."""
    async with caller.transaction() as session:
        await staff_accounts.disable_account(session, caller.actor, account_id, body.reason, caller.at)
        view = await load_account(session, caller.actor, account_id)
    return account_out(view)


@router.post("/{account_id}/enable", responses=problem_responses(401, 403, 404, 409, 422))
async def enable_account(account_id: UUID, body: EnableIn, caller: StaffCaller) -> AccountOut:
    """恢复账号 · Enable a disabled account; the owner signs in again."""
    async with caller.transaction() as session:
        await staff_accounts.enable_account(session, caller.actor, account_id, body.reason, caller.at)
        view = await load_account(session, caller.actor, account_id)
    return account_out(view)


@router.post(
    "/{account_id}/authenticator-resets",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def request_authenticator_reset(
    account_id: UUID, body: ResetRequestIn, caller: StaffCaller
) -> ResetOut:
    """申请重置验证器 · Request the reset of a lost second factor; another person must approve it."""
    async with caller.transaction() as session:
        view = await authenticator_resets.request_reset(
            session, caller.actor, account_id, body.reason, caller.at
        )
    return reset_out(view)
