"""What both APIs need of a request: its context, its caller, and limits on its body."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import DomainError
from backend.core.web.idempotency import IdempotentRequest
from backend.core.web.problems import problem_response


class BodyTooLarge(DomainError):
    """The body is larger than this endpoint accepts."""

    code = "body_too_large"
    status = 413
    zh = "上传内容超过 {limit} 字节，请压缩后重试。"
    en = "The upload is larger than {limit} bytes; compress it and try again."


async def _app_context(request: Request) -> AppContext:  # async, so that FastAPI needs no thread to call it
    app_context: AppContext = request.app.state.app_context
    return app_context


AppContextDep = Annotated[AppContext, Depends(_app_context)]


async def read_bounded(request: Request, limit: int) -> bytes:
    """Read the body. Raises `BodyTooLarge` as soon as more than `limit` bytes have arrived."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(limit=limit)
    return bytes(body)


class BodyLimitMiddleware:
    """Rejects a body larger than `limit` bytes before it is parsed, with or without a declared length.

    `larger` has the limits of paths that accept more. A declared length is rejected without exchange. Otherwise reading
    stops at the limit, and the answer of the application is replaced by the error.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._limit)
        if _declares_more(scope, limit):
            await self._reject(scope, receive, send, limit)
            return
        exchange = _BoundedExchange(receive, send, limit)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except BodyTooLarge:
            if exchange.started:
                raise
        if exchange.exceeded and not exchange.started:
            await self._reject(scope, receive, send, limit)

    async def _reject(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        response = problem_response(Request(scope), BodyTooLarge(limit=limit))
        await response(scope, receive, send)


def _declares_more(scope: Scope, limit: int) -> bool:
    """Whether the declared length exceeds the limit. Compares text, since a client may send any number of digits."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            declared, maximum = value.decode("latin-1").lstrip("0"), str(limit)
            return declared.isdecimal() and (len(declared), declared) > (len(maximum), maximum)
    return False


@dataclass(slots=True)
class _BoundedExchange:
    """`receive` and `send` of one request: counts the bytes received, and drops answers to a body that was cut off."""

    _receive: Receive
    _send: Send
    limit: int
    received_bytes: int = 0
    exceeded: bool = False
    started: bool = False

    async def receive(self) -> Message:
        if self.exceeded:
            raise BodyTooLarge(limit=self.limit)
        message = await self._receive()
        self.received_bytes += len(message.get("body", b""))
        if self.received_bytes > self.limit:
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
    """An authenticated request: the actor and the application context."""

    app_context: AppContext
    actor: Actor
    received_at: datetime | None = None
    """When the request had arrived, before it waited for anything; None where that is irrelevant."""
    session_id: UUID | None = None
    """The sign-in session of a staff request; None for phones."""
    idempotent: IdempotentRequest | None = None
    """The idempotency key of a POST by staff or by a guardian."""

    @property
    def at(self) -> datetime:
        """The server's time of the request. A time sent by the client is never used."""
        return self.received_at or self.app_context.clock()

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction in the actor's scope. Leave it before returning, so that the commit precedes the answer.

        It records the idempotency key, so a POST that has one must use a single transaction.
        """
        if self.idempotent is None:
            return self.app_context.database.transaction(self.actor.scope)
        return self._record_key(self.idempotent)

    @asynccontextmanager
    async def _record_key(self, idempotent: IdempotentRequest) -> AsyncIterator[AsyncSession]:
        async with self.app_context.database.transaction(self.actor.scope) as session:
            await idempotent.record(self.app_context, session)
            yield session
        idempotent.recorded = True
