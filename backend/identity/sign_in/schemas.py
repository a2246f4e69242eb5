"""Wire schemas of signing in: staff sessions, and a phone's access token."""

from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import OneOf, Schema
from backend.identity.accounts.schemas import Login, Totp
from backend.identity.sign_in.log import SignInRow
from backend.identity.sign_in.tables import StaffSession
from backend.identity.sign_in.unscoped_queries import Reason


class SignInIn(Schema):
    """Login, password and the code of the authenticator app."""

    login: Login = Field(examples=["zhengzhou.bureau"])
    password: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]+$")] = Field(
        examples=["春风又绿江南岸-明月何时"]
    )
    totp: Totp = Field(examples=["492039"])
    device_token: (
        Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")] | None
    ) = Field(
        default=None,
        description="本设备上次登录得到的设备令牌 · the token that this device got when it last signed in",
        examples=["b1x0yWQ7mLk3v1xq9sT8bA"],
    )


class RefreshIn(Schema):
    """The refresh token of the last answer; it can be used once."""

    refresh_token: Annotated[
        str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
    ] = Field(examples=["2Zg0yWQ7mLk3v1xq9sT8bA"])


class TokensOut(BaseModel):
    """The bearer tokens of a staff session."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="秒 · seconds", examples=[600])
    refresh_token: str
    device_token: str | None = Field(
        description="登录时返回：保存在本设备，下次登录时提交，他人输错密码不会影响本设备；刷新时为空"
        " · at sign-in: keep it on this device and send it at the next sign-in, so that wrong passwords of others do"
        " not delay this device; null after a refresh",
        examples=["b1x0yWQ7mLk3v1xq9sT8bA"],
    )


class BrowserTokensOut(BaseModel):
    """The tokens that a page reads. The refresh token is in a cookie that it cannot read."""

    access_token: str = Field(description="只保存在内存中 · keep it in memory only")
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="秒 · seconds", examples=[600])
    device_token: str | None = Field(
        description="登录时返回，同 TokensOut；刷新时为空 · at sign-in, as in TokensOut; null after a refresh",
        examples=["b1x0yWQ7mLk3v1xq9sT8bA"],
    )


class SessionOut(BaseModel):
    """One of the own sessions."""

    id: UUID
    created_at: datetime
    used_at: datetime = Field(description="最近一次刷新 · when it was last refreshed")
    expires_at: datetime
    address: str | None = Field(
        description="登录时的网络地址；未配置代理时为空 · the address at sign-in; null without a configured proxy",
        examples=["203.0.113.7"],
    )
    user_agent: str | None = Field(examples=["Mozilla/5.0 (Windows NT 10.0; Win64; x64)"])
    current: bool = Field(description="是否为本次登录 · whether it is the session of this request")


SignInOutcome = Literal["succeeded", "refused", "delayed"]


class SignInEventOut(BaseModel):
    """An entry of the sign-in log."""

    id: UUID
    at: datetime
    account_id: UUID | None
    login: str | None = Field(
        description="登录名不存在时为空 · null if the login name does not exist", examples=["zz.school1"]
    )
    outcome: SignInOutcome = Field(
        description="succeeded 成功；refused 被拒；delayed 等待期内被拒（每个等待期只记第一次） · delayed: refused during a"
        " delay; only the first of each delay is recorded"
    )
    reason: Annotated[str, OneOf(Reason)] | None = Field(
        description="login 登录名不存在、password 密码错误、code 动态码错误、code_used 动态码已用过、status 账号未启用或已停用、"
        "activation_code 激活码错误、passkey 通行密钥未通过、delay 等待中 · why it was refused",
        examples=["password"],
    )
    address: str | None = Field(examples=["203.0.113.7"])
    user_agent: str | None = Field(examples=["Mozilla/5.0 (Windows NT 10.0; Win64; x64)"])
    known_device: bool = Field(description="该设备是否登录过本账号 · whether the device signed in before")
    delayed_until: datetime | None = Field(description="此前须等待 · the next attempt had to wait until then")


class TokenOut(BaseModel):
    """A short-lived token that only this phone's key can use (RFC 9449)."""

    access_token: str
    token_type: str = "DPoP"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="秒 · seconds", examples=[600])


def session_out(row: StaffSession, current: UUID | None) -> SessionOut:
    """An own session as the API returns it."""
    return SessionOut(
        id=row.id,
        created_at=row.created_at,
        used_at=row.used_at,
        expires_at=row.expires_at,
        address=row.address,
        user_agent=row.user_agent,
        current=row.id == current,
    )


def sign_in_event_out(row: SignInRow) -> SignInEventOut:
    """An entry of the sign-in log as the API returns it."""
    event, login = row
    return SignInEventOut(
        id=event.id,
        at=event.at,
        account_id=event.account_id,
        login=login,
        outcome=cast("SignInOutcome", event.outcome),
        reason=event.reason,
        address=event.address,
        user_agent=event.user_agent,
        known_device=event.known_device,
        delayed_until=event.delayed_until,
    )
