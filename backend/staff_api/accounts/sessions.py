"""Signing in with two factors, staying signed in, signing out; activating an invited account."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from backend.core.web.problems import documented
from backend.core.web.requests import AppContextOf
from backend.core.web.schema_types import Line, Schema
from backend.identity.accounts import staff_accounts
from backend.identity.accounts.staff_accounts import own_account
from backend.identity.sign_in import staff_sign_in
from backend.staff_api.caller import StaffCaller, StaffSignIn

router = APIRouter(prefix="/v1", tags=["登录 · sign-in"])

Login = Annotated[
    str,
    StringConstraints(min_length=3, max_length=64, pattern=r"^ *[A-Za-z0-9][A-Za-z0-9._@-]* *$"),
    AfterValidator(lambda login: login.strip().lower()),
]
"""Blanks around it come with copying and do no harm."""
Password = Annotated[str, StringConstraints(min_length=12, max_length=128, pattern=r"^[^\x00]+$")]
"""At least twelve characters and no rules about their kinds (NIST SP 800-63B-4)."""
Totp = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
ActivationCode = Annotated[str, StringConstraints(min_length=16, max_length=16, pattern=r"^[A-Za-z2-7]+$")]
Phone = Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{5,20}$")]


class SignInIn(Schema):
    """Login, password and the code of the authenticator app."""

    login: Login = Field(examples=["zhengzhou.bureau"])
    password: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]+$")] = Field(
        examples=["春风又绿江南岸-明月何时"]
    )
    totp: Totp = Field(examples=["492039"])


class RefreshIn(Schema):
    """The refresh token of the last answer; it is used once."""

    refresh_token: Annotated[
        str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
    ] = Field(examples=["2Zg0yWQ7mLk3v1xq9sT8bA"])


class TokensOut(BaseModel):
    """Bearer tokens of a sign-in."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="秒 · seconds", examples=[600])
    refresh_token: str


class ProfileIn(Schema):
    """Who the invited person is."""

    name: Line = Field(examples=["李老师"])
    phone: Phone = Field(examples=["13800000000"])


class ActivationIn(Schema):
    """The code from the superior, and what the invited person chooses."""

    login: Login = Field(examples=["li.laoshi"])
    activation_code: ActivationCode = Field(examples=["ABCDEFGH23456723"])
    password: Password = Field(examples=["春风又绿江南岸-明月何时"])
    profile: ProfileIn


class ActivationOut(BaseModel):
    """What the authenticator app scans; shown once."""

    otpauth_uri: str = Field(examples=["otpauth://totp/…"])


class ActivationConfirmationIn(Schema):
    """The first code of the authenticator app."""

    login: Login = Field(examples=["li.laoshi"])
    activation_code: ActivationCode = Field(examples=["ABCDEFGH23456723"])
    totp: Totp = Field(examples=["492039"])


class MeOut(BaseModel):
    """The account that is signed in."""

    account_id: UUID
    kind: str = Field(examples=["registrar"])
    login: str | None = Field(examples=["zz.school1"])
    display_name: str = Field(examples=["王老师"])
    org_id: UUID
    org_kind: str = Field(examples=["school"])
    org_name: str = Field(examples=["郑州市某某中等专业学校"])
    school_id: UUID | None
    counselor_id: UUID | None


def _tokens(signed_in: staff_sign_in.SignedIn) -> TokensOut:
    access = signed_in.access
    return TokensOut(
        access_token=access.value, expires_in=access.expires_in, refresh_token=signed_in.refresh_token
    )


@router.post("/sessions", status_code=201, responses=documented(401, 422, 429))
async def open_session(body: SignInIn, app_context: AppContextOf) -> TokensOut:
    """登录 · Sign in with password and second factor."""
    command = staff_sign_in.SignIn(body.login, body.password, body.totp)
    return _tokens(await staff_sign_in.sign_in(app_context, command))


@router.post("/sessions/refresh", responses=documented(401, 422))
async def refresh_session(body: RefreshIn, app_context: AppContextOf) -> TokensOut:
    """刷新令牌 · Exchange the refresh token for new tokens."""
    return _tokens(await staff_sign_in.refresh(app_context, body.refresh_token))


@router.delete("/sessions/current", status_code=204, responses=documented(401))
async def close_session(caller: StaffCaller, sign_in: StaffSignIn) -> Response:
    """退出登录 · Sign out; the tokens are refused at the next request."""
    async with caller.transaction() as session:
        await staff_sign_in.sign_out(session, caller.actor, sign_in.session_id, caller.at)
    return Response(status_code=204)


@router.post("/activations", status_code=201, responses=documented(401, 422, 429))
async def begin_activation(body: ActivationIn, app_context: AppContextOf) -> ActivationOut:
    """激活账号 · Use the code of the superior: set password and profile, get a second factor (HN334-3.2)."""
    command = staff_accounts.BeginActivation(
        login=body.login,
        activation_code=body.activation_code,
        password=body.password,
        name=body.profile.name,
        phone=body.profile.phone,
    )
    return ActivationOut(otpauth_uri=await staff_accounts.begin_activation(app_context, command))


@router.post("/activations/confirmation", status_code=204, responses=documented(401, 422, 429))
async def confirm_activation(body: ActivationConfirmationIn, app_context: AppContextOf) -> Response:
    """确认激活 · Prove the second factor; the account is active."""
    command = staff_accounts.ConfirmActivation(body.login, body.activation_code, body.totp)
    await staff_accounts.confirm_activation(app_context, command)
    return Response(status_code=204)


@router.get("/me", responses=documented(401))
async def me(caller: StaffCaller) -> MeOut:
    """当前账号 · Who is signed in."""
    async with caller.transaction() as session:
        account, unit = await own_account(session, caller.actor)
    return MeOut(
        account_id=account.id,
        kind=account.kind,
        login=account.login,
        display_name=account.display_name,
        org_id=unit.id,
        org_kind=unit.kind,
        org_name=unit.name,
        school_id=account.school_id,
        counselor_id=account.counselor_id,
    )
