"""Wire schemas of signing in: staff sessions, and a phone's access token."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.schema_types import Schema
from backend.identity.accounts.schemas import Login, Totp


class SignInIn(Schema):
    """Login, password and the code of the authenticator app."""

    login: Login = Field(examples=["zhengzhou.bureau"])
    password: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]+$")] = Field(
        examples=["春风又绿江南岸-明月何时"]
    )
    totp: Totp = Field(examples=["492039"])


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


class TokenOut(BaseModel):
    """A short-lived token that only this phone's key can use (RFC 9449)."""

    access_token: str
    token_type: str = "DPoP"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="秒 · seconds", examples=[600])
