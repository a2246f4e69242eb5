"""What both APIs share: the runtime of a request, and reading bounded bodies."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.errors import DomainError
from backend.core.runtime import Runtime


class BodyTooLarge(DomainError):
    """The body is larger than this endpoint takes."""

    code = "body_too_large"
    status = 413
    zh = "上传内容超过 {limit} 字节，请压缩后重试。"
    en = "The upload is larger than {limit} bytes; compress it and try again."


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeOf = Annotated[Runtime, Depends(_runtime)]


async def read_bounded(request: Request, limit: int) -> bytes:
    """The body, refused as soon as more than `limit` bytes have arrived."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(limit=limit)
    return bytes(body)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated request: who acts, and the parts to act with."""

    runtime: Runtime
    acting: Acting

    @property
    def at(self) -> datetime:
        """The server's time; a client's is never believed."""
        return self.runtime.clock()

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """One transaction in the caller's own tenant view. Commit precedes the answer: leave it, then return."""
        return self.runtime.database.transaction(self.acting.scope)
