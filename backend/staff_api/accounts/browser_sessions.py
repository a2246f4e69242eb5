"""Staff endpoints for a browser: the refresh token is in a cookie, and the page keeps only the access token, in memory."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from backend.core.app_context import AppContext
from backend.core.web.client import ClientDep
from backend.core.web.problems import problem_response, problem_responses
from backend.core.web.requests import AppContextDep
from backend.identity.errors import OriginRefused, SessionRevoked, TokenMissing
from backend.identity.policy import province_policy
from backend.identity.sign_in import staff_sign_in
from backend.identity.sign_in.browser_sessions import end_browser_session, refresh_browser_session
from backend.identity.sign_in.schemas import BrowserTokensOut, SignInIn
from backend.identity.sign_in.session_tokens import SessionTokens
from backend.staff_api.caller import COOKIE, clear_cookie

router = APIRouter(prefix="/v1", tags=["登录 · sign-in"])


async def require_own_origin(request: Request, app_context: AppContextDep) -> None:
    """Refuse a request that a page of another site made: a browser adds the cookie to it, and always states its origin."""
    origins, origin = app_context.settings.web_origins, request.headers.get("origin")
    if origin not in origins:
        raise OriginRefused(origin=(origin or "–")[:200], expected=origins[0])


OwnOrigin = Depends(require_own_origin)


async def _read_cookie(request: Request) -> str:
    value = request.cookies.get(COOKIE)
    if not value:
        raise TokenMissing
    return value


Cookie = Annotated[str, Depends(_read_cookie)]
"""The refresh token of the request; raises `TokenMissing`."""


def set_cookie(response: Response, app_context: AppContext, refresh_token: str, until: datetime) -> None:
    """Put the refresh token into a cookie of this host alone, until the session ends."""
    remaining = int((until - app_context.clock()).total_seconds())
    response.set_cookie(
        COOKIE, refresh_token, max_age=remaining, path="/", secure=True, httponly=True, samesite="strict"
    )
    response.headers["Cache-Control"] = "no-store"


def browser_tokens_out(tokens: SessionTokens) -> BrowserTokensOut:
    """The tokens that a page may read."""
    return BrowserTokensOut(
        access_token=tokens.access.value,
        expires_in=tokens.access.expires_in,
        device_token=tokens.device_token,
    )


@router.post(
    "/browser-sessions",
    status_code=201,
    responses=problem_responses(401, 403, 422, 429),
    dependencies=[OwnOrigin],
)
async def sign_in_browser(
    body: SignInIn, response: Response, app_context: AppContextDep, client: ClientDep
) -> BrowserTokensOut:
    """浏览器登录 · Sign in a browser with password and second factor; the refresh token is set as a cookie."""
    command = staff_sign_in.SignIn(body.login, body.password, body.totp, body.device_token, in_browser=True)
    tokens = await staff_sign_in.sign_in(app_context, command, client)
    set_cookie(response, app_context, tokens.refresh_token, session_end(app_context))
    return browser_tokens_out(tokens)


def session_end(app_context: AppContext) -> datetime:
    """When a session that is opened now ends."""
    at = app_context.clock()
    return at + province_policy(app_context, at).duration("identity.staff_session.lifetime")


@router.post(
    "/browser-sessions/refresh",
    response_model=BrowserTokensOut,
    responses=problem_responses(401, 403),
    dependencies=[OwnOrigin],
)
async def refresh_browser_tokens(
    request: Request, response: Response, cookie: Cookie, app_context: AppContextDep
) -> BrowserTokensOut | Response:
    """刷新浏览器的令牌 · Exchange the cookie for a new access token and a new cookie. It may be repeated within the grace."""
    try:
        tokens, until = await refresh_browser_session(app_context, cookie)
    except SessionRevoked as error:
        refused = problem_response(request, error)
        clear_cookie(refused)
        return refused
    set_cookie(response, app_context, tokens.refresh_token, until)
    return browser_tokens_out(tokens)


@router.delete(
    "/browser-sessions/current",
    status_code=204,
    responses=problem_responses(403),
    dependencies=[OwnOrigin],
)
async def sign_out_browser(request: Request, app_context: AppContextDep) -> Response:
    """退出浏览器登录 · Sign out the browser: its session ends, and the cookie is removed. No access token is needed."""
    cookie = request.cookies.get(COOKIE)
    if cookie:
        await end_browser_session(app_context, cookie)
    response = Response(status_code=204)
    clear_cookie(response)
    return response
