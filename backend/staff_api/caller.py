"""Authentication of staff requests: the session of the bearer token, checked at every request in one round trip."""

from typing import Annotated

from fastapi import Depends, Request, Response

from backend.core.web.idempotency import IdempotencyHeader, read_idempotent_request
from backend.core.web.openapi import Security
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

COOKIE = "__Host-dianming-session"
"""The cookie with the refresh token of a browser. The prefix `__Host-` binds it to this host: no other host can set it."""


def clear_cookie(response: Response) -> None:
    """Remove the browser's refresh token."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


SECURITY = Security(
    schemes={
        "session": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "POST /v1/sessions 返回的 access_token · the access token of POST /v1/sessions",
        },
    },
    required_by={_authenticate: ({"session": []},)},
)
"""The sign-in of the staff API, for its OpenAPI document."""
