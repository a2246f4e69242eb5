"""Staff endpoints to sign in with two factors, stay signed in, sign out, and activate an invited account."""

from fastapi import APIRouter, Response

from backend.core.web.problems import problem_responses
from backend.core.web.requests import AppContextDep
from backend.identity.accounts import staff_accounts
from backend.identity.accounts.schemas import (
    ActivationConfirmationIn,
    ActivationIn,
    ActivationOut,
    StaffMeOut,
    staff_me_out,
)
from backend.identity.sign_in import staff_sign_in
from backend.identity.sign_in.schemas import RefreshIn, SignInIn, TokensOut
from backend.staff_api.caller import StaffCaller, StaffSignIn

router = APIRouter(prefix="/v1", tags=["登录 · sign-in"])


def _tokens_out(tokens: staff_sign_in.SessionTokens) -> TokensOut:
    return TokensOut(
        access_token=tokens.access.value,
        expires_in=tokens.access.expires_in,
        refresh_token=tokens.refresh_token,
    )


@router.post("/sessions", status_code=201, responses=problem_responses(401, 422, 429))
async def open_session(body: SignInIn, app_context: AppContextDep) -> TokensOut:
    """登录 · Sign in with password and second factor."""
    command = staff_sign_in.SignIn(body.login, body.password, body.totp)
    return _tokens_out(await staff_sign_in.sign_in(app_context, command))


@router.post("/sessions/refresh", responses=problem_responses(401, 422))
async def refresh_session(body: RefreshIn, app_context: AppContextDep) -> TokensOut:
    """刷新令牌 · Exchange the refresh token for new tokens."""
    return _tokens_out(await staff_sign_in.refresh_session(app_context, body.refresh_token))


@router.delete("/sessions/current", status_code=204, responses=problem_responses(401))
async def close_session(caller: StaffCaller, sign_in: StaffSignIn) -> Response:
    """退出登录 · Sign out; the tokens are refused at the next request."""
    async with caller.transaction() as session:
        await staff_sign_in.sign_out(session, caller.actor, sign_in.session_id, caller.at)
    return Response(status_code=204)


@router.post("/activations", status_code=201, responses=problem_responses(401, 422, 429))
async def begin_activation(body: ActivationIn, app_context: AppContextDep) -> ActivationOut:
    """激活账号 · Activate an account: set password and profile, receive a second factor (HN334-3.2)."""
    command = staff_accounts.BeginActivation(
        login=body.login,
        activation_code=body.activation_code,
        password=body.password,
        name=body.profile.name,
        phone=body.profile.phone,
    )
    return ActivationOut(otpauth_uri=await staff_accounts.begin_activation(app_context, command))


@router.post("/activations/confirmation", status_code=204, responses=problem_responses(401, 422, 429))
async def confirm_activation(body: ActivationConfirmationIn, app_context: AppContextDep) -> Response:
    """确认激活 · Confirm the second factor; the account becomes active."""
    command = staff_accounts.ConfirmActivation(body.login, body.activation_code, body.totp)
    await staff_accounts.confirm_activation(app_context, command)
    return Response(status_code=204)


@router.get("/me", responses=problem_responses(401))
async def me(caller: StaffCaller) -> StaffMeOut:
    """当前账号 · Get the signed-in account."""
    async with caller.transaction() as session:
        account, unit = await staff_accounts.load_own_account(session, caller.actor)
    return staff_me_out(account, unit)
