"""What both APIs share: the runtime of a request, and reading bounded bodies."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import DomainError
from backend.core.web.problems import problem_response


class BodyTooLarge(DomainError):
    """The body is larger than this endpoint takes."""

    code = "body_too_large"
    status = 413
    zh = "上传内容超过 {limit} 字节，请压缩后重试。"
    en = "The upload is larger than {limit} bytes; compress it and try again."


async def _runtime(request: Request) -> AppContext:  # a coroutine, which FastAPI calls without a thread
    app_context: AppContext = request.app.state.app_context
    return app_context


AppContextOf = Annotated[AppContext, Depends(_runtime)]


async def read_bounded(request: Request, limit: int) -> bytes:
    """The body, refused as soon as more than `limit` bytes have arrived."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(limit=limit)
    return bytes(body)


class LimitBodies:
    """Refuses a body that is larger than `limit` bytes before anything parses it, declared or not.

    `larger` holds the limits of the addresses that take more. A declared length is refused unread; without
    one, reading stops at the limit, and whatever the application makes of that is replaced by the refusal.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._limit)
        if _declares_more(scope, limit):
            await self._refuse(scope, receive, send, limit)
            return
        reading = _BoundedReading(receive, send, limit)
        try:
            await self._app(scope, reading.receive, reading.send)
        except BodyTooLarge:
            if reading.started:
                raise
        if reading.exceeded and not reading.started:
            await self._refuse(scope, receive, send, limit)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        refusal = problem_response(Request(scope), BodyTooLarge(limit=limit))
        await refusal(scope, receive, send)


def _declares_more(scope: Scope, limit: int) -> bool:
    """Whether the declared length is above the limit, of however many digits a client makes one up."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            declared, bound = value.decode("latin-1").lstrip("0"), str(limit)
            return declared.isdecimal() and (len(declared), declared) > (len(bound), bound)
    return False


@dataclass(slots=True)
class _BoundedReading:
    """The two ends of one request: counts what comes in, and holds back answers to a body that was cut off."""

    _receive: Receive
    _send: Send
    limit: int
    taken: int = 0
    exceeded: bool = False
    started: bool = False

    async def receive(self) -> Message:
        if self.exceeded:
            raise BodyTooLarge(limit=self.limit)
        message = await self._receive()
        self.taken += len(message.get("body", b""))
        if self.taken > self.limit:
            self.exceeded = True
            raise BodyTooLarge(limit=self.limit)
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded and not self.started:
            return
        self.started = True
        await self._send(message)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated request: who acts, and the parts to act with."""

    app_context: AppContext
    actor: Actor
    received_at: datetime | None = None
    """When the request was here, before it waited for anything of ours; None where that decides nothing."""

    @property
    def at(self) -> datetime:
        """The server's time; a client's is never believed."""
        return self.received_at or self.app_context.clock()

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """One transaction in the caller's own tenant view. Commit precedes the answer: leave it, then return."""
        return self.app_context.database.transaction(self.actor.scope)
