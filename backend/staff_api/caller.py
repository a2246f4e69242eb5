"""Authentication of staff requests: the session of the bearer token, checked at every request in one round trip."""

from typing import Annotated

from fastapi import Depends, Request

from backend.core.web.idempotency import IdempotencyHeader, read_idempotent_request
from backend.core.web.requests import AppContextDep, Caller
from backend.identity.sign_in.authentication import authenticate_staff
from backend.identity.unscoped_queries import SessionState


async def _authenticate(request: Request, app_context: AppContextDep) -> SessionState:
    return await authenticate_staff(app_context, request.headers.get("authorization"))


StaffSignIn = Annotated[SessionState, Depends(_authenticate)]
"""The session of the request, for signing out."""


async def _caller(
    request: Request, app_context: AppContextDep, sign_in: StaffSignIn, key: IdempotencyHeader = None
) -> Caller:
    idempotent = await read_idempotent_request(request, key, sign_in.actor)
    return Caller(app_context, sign_in.actor, session_id=sign_in.session_id, idempotent=idempotent)


StaffCaller = Annotated[Caller, Depends(_caller)]
"""A staff user with a valid session."""
