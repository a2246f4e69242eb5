"""Staff endpoints to sign in with two factors, stay signed in, sign out, and activate an invited account."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.client import ClientDep
from backend.core.web.problems import problem_responses
from backend.core.web.requests import AppContextDep
from backend.identity.accounts import staff_accounts
from backend.identity.accounts.password_change import ChangePassword, change_password
from backend.identity.accounts.password_schemas import PasswordChangeIn
from backend.identity.accounts.queries import load_own_account
from backend.identity.accounts.schemas import (
    ActivationConfirmationIn,
    ActivationIn,
    ActivationOut,
    StaffMeOut,
    staff_me_out,
)
from backend.identity.sign_in import staff_sign_in
from backend.identity.sign_in.log import SignInSearch, SignInSort, load_own_sign_ins, load_sign_ins
from backend.identity.sign_in.schemas import (
    RefreshIn,
    SessionOut,
    SignInEventOut,
    SignInIn,
    SignInOutcome,
    TokensOut,
    session_out,
    sign_in_event_out,
)
from backend.identity.sign_in.session_tokens import SessionTokens
from backend.identity.sign_in.sessions import (
    end_other_sessions,
    end_own_session,
    load_own_sessions,
)
from backend.staff_api.caller import COOKIE, StaffCaller, StaffSignIn, clear_cookie

router = APIRouter(prefix="/v1", tags=["登录 · sign-in"])


OutcomeFilter = Annotated[SignInOutcome | None, Query(description="结果 · outcome of the sign-in")]
AccountFilter = Annotated[UUID | None, Query(description="账号 · the account")]


def _tokens_out(tokens: SessionTokens) -> TokensOut:
    return TokensOut(
        access_token=tokens.access.value,
        expires_in=tokens.access.expires_in,
        refresh_token=tokens.refresh_token,
        device_token=tokens.device_token,
    )


@router.post("/sessions", status_code=201, responses=problem_responses(401, 422, 429))
async def sign_in(body: SignInIn, app_context: AppContextDep, client: ClientDep) -> TokensOut:
    """登录 · Sign in with password and second factor."""
    command = staff_sign_in.SignIn(body.login, body.password, body.totp, body.device_token)
    return _tokens_out(await staff_sign_in.sign_in(app_context, command, client))


@router.post("/sessions/refresh", responses=problem_responses(401, 422))
async def refresh_tokens(body: RefreshIn, app_context: AppContextDep) -> TokensOut:
    """刷新令牌 · Exchange the refresh token for new tokens."""
    return _tokens_out(await staff_sign_in.refresh_session(app_context, body.refresh_token))


@router.delete("/sessions/current", status_code=204, responses=problem_responses(401))
async def sign_out(request: Request, caller: StaffCaller, sign_in: StaffSignIn) -> Response:
    """退出登录 · Sign out; the tokens are refused at the next request, and a browser's cookie is removed."""
    async with caller.transaction() as session:
        await staff_sign_in.sign_out(session, caller.actor, sign_in.session_id, caller.at)
    response = Response(status_code=204)
    if COOKIE in request.cookies:
        clear_cookie(response)
    return response


@router.get("/sessions", responses=problem_responses(401))
async def list_sessions(caller: StaffCaller, sign_in: StaffSignIn) -> list[SessionOut]:
    """我的登录 · List the own sessions that are valid now."""
    async with caller.transaction() as session:
        rows = await load_own_sessions(session, caller.actor, caller.at)
    return [session_out(row, sign_in.session_id) for row in rows]


@router.delete("/sessions", status_code=204, responses=problem_responses(401))
async def sign_out_other_sessions(caller: StaffCaller, sign_in: StaffSignIn) -> Response:
    """结束其他登录 · End every own session but this one."""
    async with caller.transaction() as session:
        await end_other_sessions(session, caller.actor, sign_in.session_id, caller.at)
    return Response(status_code=204)


@router.delete("/sessions/{session_id}", status_code=204, responses=problem_responses(401, 404, 422))
async def sign_out_session(session_id: UUID, caller: StaffCaller) -> Response:
    """结束某次登录 · End one own session."""
    async with caller.transaction() as session:
        await end_own_session(session, caller.actor, session_id, caller.at)
    return Response(status_code=204)


@router.get("/me/sign-ins", responses=problem_responses(401, 422))
async def list_own_sign_ins(
    caller: StaffCaller,
    sort: SignInSort = "-at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[SignInEventOut]:
    """我的登录日志 · List the sign-ins to the own account, the failed ones included, newest first."""
    async with caller.transaction() as session:
        page = await load_own_sign_ins(session, caller.actor, PageRequest(limit, cursor, sort, total))
    return page.render_counted(sign_in_event_out)


@router.get("/sign-ins", responses=problem_responses(401, 403, 422))
async def list_sign_ins(
    caller: StaffCaller,
    outcome: OutcomeFilter = None,
    account_id: AccountFilter = None,
    sort: SignInSort = "-at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[SignInEventOut]:
    """登录日志 · List the sign-ins of the own unit and below; those of unknown login names are the province's."""
    search = SignInSearch(outcome, account_id)
    async with caller.transaction() as session:
        page = await load_sign_ins(session, caller.actor, search, PageRequest(limit, cursor, sort, total))
    return page.render_counted(sign_in_event_out)


@router.post("/activations", status_code=201, responses=problem_responses(401, 422, 429))
async def begin_activation(
    body: ActivationIn, app_context: AppContextDep, client: ClientDep
) -> ActivationOut:
    """激活账号 · Activate an account: set password and profile, receive a second factor (HN334-3.2)."""
    command = staff_accounts.BeginActivation(
        login=body.login,
        activation_code=body.activation_code,
        password=body.password,
        name=body.profile.name,
        phone=body.profile.phone,
    )
    return ActivationOut(otpauth_uri=await staff_accounts.begin_activation(app_context, command, client))


@router.post("/activations/confirmation", status_code=204, responses=problem_responses(401, 422, 429))
async def confirm_activation(
    body: ActivationConfirmationIn, app_context: AppContextDep, client: ClientDep
) -> Response:
    """确认激活 · Confirm the second factor; the account becomes active."""
    command = staff_accounts.ConfirmActivation(body.login, body.activation_code, body.totp)
    await staff_accounts.confirm_activation(app_context, command, client)
    return Response(status_code=204)


@router.post("/me/password", status_code=204, responses=problem_responses(401, 422, 429))
async def set_own_password(
    body: PasswordChangeIn, caller: StaffCaller, sign_in: StaffSignIn, client: ClientDep
) -> Response:
    """修改密码 · Change the own password; every other session and device is signed out."""
    command = ChangePassword(body.password, body.to_factor(), body.new_password, sign_in.session_id)
    await change_password(caller.app_context, caller.actor, command, client)
    return Response(status_code=204)


@router.get("/me", responses=problem_responses(401))
async def get_me(caller: StaffCaller) -> StaffMeOut:
    """当前账号 · Get the signed-in account."""
    async with caller.transaction() as session:
        account, unit = await load_own_account(session, caller.actor)
    return staff_me_out(account, unit)
