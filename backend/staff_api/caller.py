"""Who calls the staff API: the sign-in behind the bearer token, checked at every request in one round trip."""

from typing import Annotated

from fastapi import Depends, Request

from backend.core.web.requests import AppContextOf, Caller
from backend.identity.sign_in.authentication import authenticate_staff
from backend.identity.unscoped_queries import SessionFacts


async def _sign_in(request: Request, app_context: AppContextOf) -> SessionFacts:
    return await authenticate_staff(app_context, request.headers.get("authorization"))


StaffSignIn = Annotated[SessionFacts, Depends(_sign_in)]
"""The sign-in itself, for ending it."""


async def _caller(app_context: AppContextOf, sign_in: StaffSignIn) -> Caller:
    return Caller(app_context, sign_in.actor)


StaffCaller = Annotated[Caller, Depends(_caller)]
"""A member of staff whose sign-in stands right now."""
