"""Idempotency keys: a POST that is sent again with the same key takes effect once (IETF draft-ietf-httpapi-idempotency-key-header).

The key is recorded in the transaction of the request, so it exists exactly if the request took effect. The response is
recorded right after, encrypted, because it may contain a one-time code. A repetition gets the recorded response.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Header, Request
from fastapi.responses import Response
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import DomainError
from backend.core.tables import IdempotencyKey

KEPT_FOR = timedelta(hours=24)
"""How long a key is remembered; docs/api.md states it."""
MAX_KEY_LENGTH = 64
REPLAYED = "Idempotency-Replayed"
_PURPOSE = "response"
_STATE = "dianming.idempotent_request"


class IdempotencyKeyReused(DomainError):
    """The key was used for another request."""

    code = "idempotency_key_reused"
    status = 422
    zh = "这个 Idempotency-Key 已用于另一个请求。新的请求请使用新的 Idempotency-Key。"
    en = "This Idempotency-Key was used for another request. Use a new key for a new request."


class ResponseNotRecorded(DomainError):
    """The request took effect, but its response is not recorded: it is still being sent, or the process was stopped."""

    code = "response_not_recorded"
    status = 409
    zh = "同一请求已经办成，不会重复办理；但原来的答复未能保存。请查询列表核对结果，不要换用新的 Idempotency-Key 重发。"
    en = (
        "The same request already took effect and is not repeated, but its response was not recorded. Read the list to see "
        "the result; do not send it again with a new key."
    )


class ReplayedResponse(Exception):
    """Ends a repeated request with the recorded response."""

    def __init__(self, response: Response) -> None:
        super().__init__("the recorded response answers this request")
        self.response = response


IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="一次操作的唯一编号：24 小时内以同一编号重发，只办理一次 · a key of this operation: sent again within 24"
        " hours, it takes effect once",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        min_length=1,
        max_length=MAX_KEY_LENGTH,
        pattern="^[!-~]+$",
    ),
]


@dataclass(slots=True)
class IdempotentRequest:
    """A request with a key. `recorded`: the transaction that recorded the key has committed."""

    key: str
    fingerprint: bytes
    actor: Actor
    recorded: bool = False

    async def record(self, app_context: AppContext, session: AsyncSession) -> None:
        """Record the key in the transaction, or raise `ReplayedResponse` or an error if it is known."""
        at = app_context.clock()
        await _delete_old_keys(session, self.actor.account_id, at)
        row = (
            insert(IdempotencyKey)
            .values(
                account_id=self.actor.account_id,
                key=self.key,
                fingerprint=self.fingerprint,
                created_at=at,
                status=None,
                response=None,
            )
            .on_conflict_do_nothing()
            .returning(IdempotencyKey.key)
        )
        if await session.scalar(row) is None:
            raise ReplayedResponse(await self._load_response(app_context, session))

    async def _load_response(self, app_context: AppContext, session: AsyncSession) -> Response:
        known = (await session.scalars(select(IdempotencyKey).where(*self._is_mine()))).one()
        if known.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        if known.response is None or known.status is None:
            raise ResponseNotRecorded
        body = app_context.keys.decrypt(_PURPOSE, known.response, self._context())
        media_type = "application/json" if body else None
        return Response(body, known.status, {REPLAYED: "true"}, media_type)

    async def save_response(self, app_context: AppContext, status: int, body: bytes) -> None:
        """Record the response in a transaction of its own."""
        sealed = app_context.keys.encrypt(_PURPOSE, body, self._context())
        async with app_context.database.transaction(self.actor.scope) as session:
            await session.execute(
                update(IdempotencyKey).where(*self._is_mine()).values(status=status, response=sealed)
            )

    def _is_mine(self) -> tuple[ColumnElement[bool], ...]:
        return IdempotencyKey.account_id == self.actor.account_id, IdempotencyKey.key == self.key

    def _context(self) -> bytes:
        return self.actor.account_id.bytes + self.key.encode()


async def _delete_old_keys(session: AsyncSession, account_id: UUID, at: datetime) -> None:
    old = IdempotencyKey.account_id == account_id, IdempotencyKey.created_at < at - KEPT_FOR
    await session.execute(delete(IdempotencyKey).where(*old))


async def read_idempotent_request(
    request: Request, header: str | None, actor: Actor
) -> IdempotentRequest | None:
    """The key of a POST, without the quotes that the draft asks for, and the fingerprint of the request; None without."""
    if header is None or request.method != "POST":
        return None
    key = header.removeprefix('"').removesuffix('"')
    digest = hashlib.sha256()
    for part in (request.url.path.encode(), request.url.query.encode(), await request.body()):
        digest.update(len(part).to_bytes(8) + part)
    idempotent = IdempotentRequest(key, digest.digest(), actor)
    request.scope[_STATE] = idempotent
    return idempotent


class IdempotencyMiddleware:
    """Records the response of a POST whose key was recorded, before it is sent."""

    def __init__(self, app: ASGIApp, app_context: AppContext) -> None:
        self._app = app
        self._app_context = app_context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; without the header it is passed on."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        if not is_post or not any(name == b"idempotency-key" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, collect)
        idempotent: IdempotentRequest | None = scope.get(_STATE)
        status = messages[0]["status"]
        if idempotent is not None and idempotent.recorded and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            body = b"".join(message.get("body", b"") for message in messages)
            await idempotent.save_response(self._app_context, status, body)
        for message in messages:
            await send(message)
