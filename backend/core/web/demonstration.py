"""The clock of a demonstration, which a bar on the pages shows and moves. Mounted only where `clock_bar` is set, never in production."""

from datetime import datetime

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.app_context import AppContext
from backend.core.availability import record_heartbeats
from backend.core.clock import advance_shifted_clock
from backend.core.tenancy import Scope as TenancyScope

COOKIE = "dianming_demo_clock"
"""Tells the pages that there is a bar to show, so that in production no page has to ask."""
PATH = "/demo/clock"
LONGEST_S = 7 * 86_400


class ClockOut(BaseModel):
    """The time of the demonstration."""

    now: datetime


class AdvanceIn(BaseModel):
    """How far the clock is moved forward."""

    seconds: int = Field(ge=1, le=LONGEST_S)


def mount_demonstration(app: FastAPI, app_context: AppContext) -> None:
    """Add the clock and the cookie that announces it, if the settings have a clock file and the bar."""
    clock_file = app_context.settings.clock_file
    if clock_file is None or not app_context.settings.clock_bar:
        return
    app.add_middleware(_CookieMiddleware)

    @app.get(PATH)
    async def read_clock() -> ClockOut:
        return ClockOut(now=app_context.clock())

    @app.post(PATH)
    async def advance_clock(body: AdvanceIn) -> ClockOut:
        """Move the clock of all processes. The skipped minutes get heartbeats, so that they do not count as an outage."""
        async with app_context.database.transaction(TenancyScope.none()) as session:
            await record_heartbeats(session, app_context.clock(), body.seconds)
        advance_shifted_clock(clock_file, body.seconds)
        return ClockOut(now=app_context.clock())


class _CookieMiddleware:
    """Adds the cookie to each answer. A browser session long, and of no use to anyone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", f"{COOKIE}=1; Path=/; SameSite=Strict")
            await send(message)

        await self._app(scope, receive, send_with_cookie)
