"""Who calls from a phone: token and proof of its key, checked at every request in one round trip (RFC 9449)."""

from typing import Annotated

from fastapi import Depends, Request

from backend.core.web.requests import AppContextOf, Caller
from backend.identity.errors import ProofInvalid
from backend.identity.sign_in.authentication import HttpRequest, Proven, authenticate_phone, prove


def read_request(request: Request) -> HttpRequest:
    """What authentication reads of a request."""
    proofs = request.headers.getlist("dpop")
    if len(proofs) > 1:
        raise ProofInvalid(reason="several")
    return HttpRequest(
        method=request.method,
        path=request.scope["path"],
        authorization=request.headers.get("authorization"),
        dpop=proofs[0] if proofs else None,
    )


async def _caller(request: Request, app_context: AppContextOf) -> Caller:
    received_at = app_context.clock()  # a full pool at the close must make nobody late
    return Caller(app_context, await authenticate_phone(app_context, read_request(request)), received_at)


PhoneCaller = Annotated[Caller, Depends(_caller)]
"""A student on the phone whose key and account stand right now."""


async def _proven(request: Request, app_context: AppContextOf) -> Proven:
    return await prove(app_context, read_request(request))


ProvenPhone = Annotated[Proven, Depends(_proven)]
"""A phone that proved its key and carries no token yet: registration, and asking for a token."""
