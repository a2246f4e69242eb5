"""A phone becomes a student's, and asks for tokens with its key (HN334-3.1). Every request carries a DPoP proof."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from backend.core.web.problems import documented
from backend.core.web.requests import AppContextOf
from backend.core.web.schema_types import Line, Schema
from backend.identity.devices import registration
from backend.identity.sign_in.access_tokens import IssuedToken
from mobile_api.caller import ProvenPhone

router = APIRouter(prefix="/v1", tags=["注册 · registration"])


class RegistrationIn(Schema):
    """What stands on the identity document."""

    name: Line = Field(examples=["张三"])
    id_number: Annotated[
        str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9A-Za-z()（）-]{5,30}$")
    ] = Field(examples=["11010519491231002X"])


class RegistrationOut(BaseModel):
    """Always alike, whoever was asked for."""

    registration_id: UUID
    expires_in: int = Field(
        description="验证码有效秒数 · seconds in which the code can be used", examples=[300]
    )


class ConfirmationIn(Schema):
    """The code from the message."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] = Field(examples=["493027"])


class TokenOut(BaseModel):
    """A short-lived token that only this phone's key can use (RFC 9449)."""

    access_token: str
    token_type: str = "DPoP"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="秒 · seconds", examples=[600])


def _token(token: IssuedToken) -> TokenOut:
    return TokenOut(access_token=token.value, expires_in=token.expires_in)


@router.post("/registrations", status_code=202, responses=documented(401, 422, 429))
async def register(body: RegistrationIn, phone: ProvenPhone, app_context: AppContextOf) -> RegistrationOut:
    """申请绑定本机 · Ask to bind this phone; a code goes to the number on the roster if all agrees."""
    command = registration.Register(body.name, body.id_number)
    opened = await registration.register(app_context, phone, command)
    return RegistrationOut(registration_id=opened.id, expires_in=opened.expires_in)


@router.post("/registrations/{registration_id}/confirmation", responses=documented(401, 404, 409, 422))
async def confirm(
    registration_id: UUID, body: ConfirmationIn, phone: ProvenPhone, app_context: AppContextOf
) -> TokenOut:
    """提交验证码 · Bind this phone; an earlier phone of the same student is revoked."""
    return _token(await registration.confirm(app_context, phone, registration_id, body.code))


@router.post("/token", responses=documented(401))
async def token(phone: ProvenPhone, app_context: AppContextOf) -> TokenOut:
    """获取访问令牌 · A fresh token; the bound key is the credential."""
    return _token(registration.token_for(app_context, phone))
