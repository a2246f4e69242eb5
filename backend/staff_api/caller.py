"""Who calls the staff API: the sign-in behind the bearer token, checked at every request in one round trip."""

from typing import Annotated

from fastapi import Depends, Request

from backend.core.web import Caller, RuntimeOf
from backend.identity.authentication import authenticate_staff
from backend.identity.door import SessionFacts


async def _sign_in(request: Request, runtime: RuntimeOf) -> SessionFacts:
    return await authenticate_staff(runtime, request.headers.get("authorization"))


StaffSignIn = Annotated[SessionFacts, Depends(_sign_in)]
"""The sign-in itself, for ending it."""


async def _caller(runtime: RuntimeOf, sign_in: StaffSignIn) -> Caller:
    return Caller(runtime, sign_in.acting)


StaffCaller = Annotated[Caller, Depends(_caller)]
"""A member of staff whose sign-in stands right now."""
