"""Authentication of phone requests: token and DPoP proof, checked at every request in one round trip (RFC 9449)."""

from typing import Annotated

from fastapi import Depends, Request

from backend.core.web.idempotency import IdempotencyHeader, read_idempotent_request
from backend.core.web.openapi import Requirement, Security
from backend.core.web.requests import AppContextDep, Caller
from backend.guardian.access import GuardianAccess, authenticate_guardian
from backend.identity.errors import ProofInvalid
from backend.identity.sign_in.authentication import (
    HttpRequest,
    VerifiedProof,
    authenticate_key,
    authenticate_phone,
)


def read_request(request: Request) -> HttpRequest:
    """The parts of a request that authentication reads; raises `ProofInvalid` for several proofs."""
    proofs = request.headers.getlist("dpop")
    if len(proofs) > 1:
        raise ProofInvalid(reason="several")
    return HttpRequest(
        method=request.method,
        path=request.scope["path"],
        authorization=request.headers.get("authorization"),
        dpop=proofs[0] if proofs else None,
    )


async def _authenticate(request: Request, app_context: AppContextDep) -> Caller:
    received_at = app_context.clock()  # before waiting for a connection, which must not make the request late
    return Caller(app_context, await authenticate_phone(app_context, read_request(request)), received_at)


PhoneCaller = Annotated[Caller, Depends(_authenticate)]
"""A student with an active account, on a phone with an active key."""


async def _authenticate_key(request: Request, app_context: AppContextDep) -> VerifiedProof:
    return await authenticate_key(app_context, read_request(request))


ProvenPhone = Annotated[VerifiedProof, Depends(_authenticate_key)]
"""A phone that proved possession of its key and has no token yet, for registration and token requests."""


async def _authenticate_guardian(request: Request, app_context: AppContextDep) -> GuardianAccess:
    return await authenticate_guardian(app_context, request.headers.get("authorization"))


GuardianLink = Annotated[GuardianAccess, Depends(_authenticate_guardian)]
"""A guardian with a link that serves."""


async def _guardian_caller(
    request: Request, app_context: AppContextDep, link: GuardianLink, key: IdempotencyHeader = None
) -> Caller:
    received_at = app_context.clock()
    idempotent = await read_idempotent_request(request, key, link.actor)
    return Caller(app_context, link.actor, received_at, idempotent=idempotent)


GuardianCaller = Annotated[Caller, Depends(_guardian_caller)]
"""A guardian in the scope of the link's student."""


async def _acting_guardian_caller(caller: GuardianCaller, link: GuardianLink) -> Caller:
    link.require_may_act()
    return caller


ActingGuardianCaller = Annotated[Caller, Depends(_acting_guardian_caller)]
"""A guardian of a minor, who may act for the student."""

TOKEN_AND_PROOF: Requirement = {"token": [], "proof": []}
SECURITY = Security(
    schemes={
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "“DPoP ” 加 access_token · `DPoP ` and the access token (RFC 9449)",
        },
        "proof": {
            "type": "apiKey",
            "in": "header",
            "name": "DPoP",
            "description": "每次请求新的 DPoP 证明，见 docs/api.md · a new DPoP proof for each request",
        },
        "guardian": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "“Guardian ” 加短信链接中 # 之后的部分 · `Guardian ` and the part of the SMS link after #",
        },
    },
    parameters={
        "proof": {
            "name": "DPoP",
            "in": "header",
            "required": False,
            "description": "每次请求都要有；由客户端的中间件统一添加 · needed with every request; the client adds it in one place",
            "schema": {"type": "string", "title": "DPoP"},
        }
    },
    required_by={
        _authenticate: (TOKEN_AND_PROOF,),
        _authenticate_key: ({"proof": []},),
        _authenticate_guardian: ({"guardian": []},),
    },
)
"""The authentication of phones, for the OpenAPI document."""
