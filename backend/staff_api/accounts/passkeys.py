"""Staff endpoints of passkeys: the own ones, and signing in a browser with one."""

from uuid import UUID

from fastapi import APIRouter, Response

from backend.core.web.client import ClientDep
from backend.core.web.problems import problem_responses
from backend.core.web.requests import AppContextDep
from backend.identity.passkeys import service
from backend.identity.passkeys.schemas import (
    CreationOptionsOut,
    PasskeyIn,
    PasskeyNameIn,
    PasskeyOut,
    PasskeySignInIn,
    RequestOptionsOut,
    creation_options_out,
    passkey_out,
    request_options_out,
)
from backend.identity.passkeys.sign_in import sign_in_with_passkey
from backend.identity.sign_in.schemas import BrowserTokensOut
from backend.staff_api.accounts.browser_sessions import (
    OwnOrigin,
    browser_tokens_out,
    session_end,
    set_cookie,
)
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["通行密钥 · passkeys"])


@router.post("/passkey-challenges", responses=problem_responses(409))
async def begin_passkey_sign_in(app_context: AppContextDep) -> RequestOptionsOut:
    """通行密钥登录：开始 · Begin a sign-in with a passkey; the answer goes to `/browser-sessions/passkey`."""
    return request_options_out(await service.begin_ceremony(app_context, None, "sign_in"))


@router.post(
    "/browser-sessions/passkey",
    status_code=201,
    responses=problem_responses(401, 403, 409, 422, 429),
    dependencies=[OwnOrigin],
)
async def sign_in_with_own_passkey(
    body: PasskeySignInIn, response: Response, app_context: AppContextDep, client: ClientDep
) -> BrowserTokensOut:
    """通行密钥登录 · Sign in a browser with a passkey; the refresh token is set as a cookie."""
    tokens = await sign_in_with_passkey(app_context, body.credential.to_json(), client)
    set_cookie(response, app_context, tokens.refresh_token, session_end(app_context))
    return browser_tokens_out(tokens)


@router.get("/me/passkeys", responses=problem_responses(401))
async def list_own_passkeys(caller: StaffCaller) -> list[PasskeyOut]:
    """我的通行密钥 · List the own passkeys."""
    async with caller.transaction() as session:
        rows = await service.load_passkeys(session, caller.actor)
    return [passkey_out(row) for row in rows]


@router.post("/me/passkeys/registration-challenges", responses=problem_responses(401, 409))
async def begin_passkey_registration(caller: StaffCaller) -> CreationOptionsOut:
    """添加通行密钥：开始 · Begin the registration of a passkey; the answer goes to `/me/passkeys`."""
    return creation_options_out(await service.begin_ceremony(caller.app_context, caller.actor, "register"))


@router.post("/me/passkeys/confirmation-challenges", responses=problem_responses(401, 409))
async def begin_passkey_confirmation(caller: StaffCaller) -> RequestOptionsOut:
    """通行密钥确认：开始 · Begin an assertion that stands in for a code of the authenticator app."""
    return request_options_out(await service.begin_ceremony(caller.app_context, caller.actor, "confirm"))


@router.post("/me/passkeys", status_code=201, responses=problem_responses(401, 409, 422, 429))
async def register_own_passkey(body: PasskeyIn, caller: StaffCaller, client: ClientDep) -> PasskeyOut:
    """添加通行密钥 · Add a passkey to the own account, confirmed by a code or by another passkey."""
    command = service.RegisterPasskey(body.credential.to_json(), body.name, body.to_factor())
    return passkey_out(await service.register_passkey(caller.app_context, caller.actor, command, client))


@router.put("/me/passkeys/{passkey_id}/name", responses=problem_responses(401, 404, 422))
async def rename_own_passkey(passkey_id: UUID, body: PasskeyNameIn, caller: StaffCaller) -> PasskeyOut:
    """重命名通行密钥 · Give an own passkey another name."""
    async with caller.transaction() as session:
        row = await service.rename_passkey(session, caller.actor, passkey_id, body.name, caller.at)
    return passkey_out(row)


@router.delete("/me/passkeys/{passkey_id}", status_code=204, responses=problem_responses(401, 404, 422))
async def remove_own_passkey(passkey_id: UUID, caller: StaffCaller) -> Response:
    """移除通行密钥 · Remove an own passkey; it is refused from then on."""
    async with caller.transaction() as session:
        await service.remove_passkey(session, caller.actor, passkey_id, caller.at)
    return Response(status_code=204)
