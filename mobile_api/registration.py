"""Phone endpoints to register a phone for a student and to get tokens with its key (HN334-3.1).

Every request carries a DPoP proof.
"""

from uuid import UUID

from fastapi import APIRouter, Request

from backend.core.web.client import ClientDep
from backend.core.web.problems import problem_responses
from backend.core.web.requests import AppContextDep
from backend.identity.devices import registration
from backend.identity.devices.objections import object_to_rebinding
from backend.identity.devices.rebinding_face import load_registration, submit_rebinding_face
from backend.identity.devices.schemas import (
    ConfirmationIn,
    ObjectionIn,
    ObjectionOut,
    RegistrationIn,
    RegistrationOut,
    RegistrationStateOut,
    objection_out,
    registration_state_out,
)
from backend.identity.sign_in.access_tokens import IssuedToken
from backend.identity.sign_in.schemas import TokenOut
from mobile_api.caller import ProvenPhone
from mobile_api.pictures import pictures_body, read_pictures

router = APIRouter(prefix="/v1", tags=["注册 · registration"])


def _token_out(token: IssuedToken) -> TokenOut:
    return TokenOut(access_token=token.value, expires_in=token.expires_in)


@router.post("/registrations", status_code=202, responses=problem_responses(401, 422, 429))
async def start_registration(
    body: RegistrationIn, phone: ProvenPhone, app_context: AppContextDep, client: ClientDep
) -> RegistrationOut:
    """申请绑定本机 · Ask to bind this phone; if all data match, a code is sent to the number on the roster."""
    command = registration.RegisterPhone(body.name, body.id_number)
    opened = await registration.register_phone(app_context, phone, command, client)
    return RegistrationOut(registration_id=opened.id, expires_in=opened.expires_in)


@router.post("/registrations/{registration_id}/confirmation", responses=problem_responses(401, 404, 409, 422))
async def confirm_registration(
    registration_id: UUID,
    body: ConfirmationIn,
    phone: ProvenPhone,
    app_context: AppContextDep,
    client: ClientDep,
) -> TokenOut:
    """提交验证码 · Bind this phone. A change of phone needs a face or a code given in person as well."""
    command = registration.ConfirmRegistration(registration_id, body.code, body.in_person_code)
    return _token_out(await registration.confirm_registration(app_context, phone, command, client))


@router.get("/registrations/{registration_id}", responses=problem_responses(401, 404, 422))
async def get_registration(
    registration_id: UUID, phone: ProvenPhone, app_context: AppContextDep
) -> RegistrationStateOut:
    """绑定进度 · Get how far the registration of this phone is."""
    return registration_state_out(await load_registration(app_context, phone, registration_id))


@router.post(
    "/registrations/{registration_id}/face",
    status_code=202,
    responses=problem_responses(400, 401, 404, 409, 413, 415, 422, 429),
    openapi_extra=pictures_body("shots", 1, 5),
)
async def submit_rebinding_pictures(
    registration_id: UUID, request: Request, phone: ProvenPhone, app_context: AppContextDep
) -> RegistrationStateOut:
    """换绑时核对人脸 · Submit pictures of the own face, which are compared with the enrolled one and then deleted."""
    shots = await read_pictures(request, "shots", app_context.settings.request_body_limit)
    return registration_state_out(await submit_rebinding_face(app_context, phone, registration_id, shots))


@router.post("/rebinding-objections", status_code=201, responses=problem_responses(401, 409, 422))
async def object_to_new_phone(
    body: ObjectionIn, phone: ProvenPhone, app_context: AppContextDep
) -> ObjectionOut:
    """对换绑提出异议（原手机） · Object, on the old phone, to its replacement."""
    return objection_out(await object_to_rebinding(app_context, phone, body.note))


@router.post("/token", responses=problem_responses(401))
async def issue_access_token(phone: ProvenPhone, app_context: AppContextDep) -> TokenOut:
    """获取访问令牌 · Get a new token; the bound key is the credential."""
    return _token_out(registration.issue_token(app_context, phone))
