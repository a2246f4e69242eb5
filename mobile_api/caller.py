"""Who calls from a phone: token and proof of its key, checked at every request in one round trip (RFC 9449)."""

from typing import Annotated

from fastapi import Depends, Request

from backend.core.web import Caller, RuntimeOf
from backend.identity.authentication import HttpRequest, Proven, authenticate_phone, prove
from backend.identity.errors import ProofInvalid


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


async def _caller(request: Request, runtime: RuntimeOf) -> Caller:
    received_at = runtime.clock()  # a full pool at the close must make nobody late
    return Caller(runtime, await authenticate_phone(runtime, read_request(request)), received_at)


PhoneCaller = Annotated[Caller, Depends(_caller)]
"""A student on the phone whose key and account stand right now."""


async def _proven(request: Request, runtime: RuntimeOf) -> Proven:
    return await prove(runtime, read_request(request))


ProvenPhone = Annotated[Proven, Depends(_proven)]
"""A phone that proved its key and carries no token yet: registration, and asking for a token."""
