"""Phone endpoints to register a phone for a student and to get tokens with its key (HN334-3.1).

Every request carries a DPoP proof.
"""

from uuid import UUID

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.core.web.requests import AppContextDep
from backend.identity.devices import registration
from backend.identity.devices.schemas import ConfirmationIn, RegistrationIn, RegistrationOut
from backend.identity.sign_in.access_tokens import IssuedToken
from backend.identity.sign_in.schemas import TokenOut
from mobile_api.caller import ProvenPhone

router = APIRouter(prefix="/v1", tags=["注册 · registration"])


def _token_out(token: IssuedToken) -> TokenOut:
    return TokenOut(access_token=token.value, expires_in=token.expires_in)


@router.post("/registrations", status_code=202, responses=problem_responses(401, 422, 429))
async def register(body: RegistrationIn, phone: ProvenPhone, app_context: AppContextDep) -> RegistrationOut:
    """申请绑定本机 · Ask to bind this phone; if all data match, a code is sent to the number on the roster."""
    command = registration.RegisterPhone(body.name, body.id_number)
    opened = await registration.register_phone(app_context, phone, command)
    return RegistrationOut(registration_id=opened.id, expires_in=opened.expires_in)


@router.post("/registrations/{registration_id}/confirmation", responses=problem_responses(401, 404, 409, 422))
async def confirm(
    registration_id: UUID, body: ConfirmationIn, phone: ProvenPhone, app_context: AppContextDep
) -> TokenOut:
    """提交验证码 · Bind this phone; an earlier phone of the same student is revoked."""
    return _token_out(await registration.confirm_registration(app_context, phone, registration_id, body.code))


@router.post("/token", responses=problem_responses(401))
async def token(phone: ProvenPhone, app_context: AppContextDep) -> TokenOut:
    """获取访问令牌 · Get a new token; the bound key is the credential."""
    return _token_out(registration.issue_token(app_context, phone))
