"""Calls the ASGI application directly: building a request with httpx costs as much as rejecting it."""

import asyncio
import json as json_of
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, unquote

from httpx import ASGITransport, AsyncClient, Response

from tests.tenancy.fixtures import HeaderClient

SAFE_CHARACTERS = "%/?#[]@!$&'()*+,;=:-._~"
"""Characters of a URL that are sent as they are; all others are percent-encoded."""


@dataclass(frozen=True, slots=True)
class RawClient:
    """Sends requests with fixed headers, like `HeaderClient`, but without an HTTP client."""

    http: AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def request(self, method: str, path: str, **options: Any) -> Response:
        if path.partition("?")[0].endswith("/stream"):  # an endless response needs a client that disconnects
            return await HeaderClient(self.http, self.headers).request(method, path, **options)
        headers: dict[str | bytes, str | bytes] = {**options.pop("headers", {})}
        headers |= self.headers.items()
        if "json" in options:
            content = json_of.dumps(options.pop("json")).encode()
            headers["content-type"] = "application/json"
        else:
            content = options.pop("content", b"")
        assert not options
        return await self._call(method, path, headers, content)

    async def _call(
        self, method: str, path: str, headers: dict[str | bytes, str | bytes], content: bytes
    ) -> Response:
        url_path, _, query = quote(path, safe=SAFE_CHARACTERS).partition("?")
        path_with_base = self.http.base_url.path.rstrip("/") + url_path
        all_headers = {"host": self.http.base_url.host, **headers}
        if content or method not in {"GET", "HEAD", "DELETE"}:
            all_headers |= {"content-length": str(len(content))}
        start: dict[str, Any] = {"status": 500, "headers": []}  # if the application sends no response
        chunks: list[bytes] = []

        received = False

        async def receive() -> dict[str, Any]:
            nonlocal received
            if received:  # the client stays: a streamed response listens for its disconnect until the end
                await asyncio.Event().wait()
            received = True
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                chunks.append(message.get("body", b""))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in all_headers.items()],
            "scheme": self.http.base_url.scheme,
            "path": unquote(path_with_base),
            "raw_path": path_with_base.encode(),
            "query_string": query.encode(),
            "server": (self.http.base_url.host, None),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        with suppress(Exception):  # unexpected errors are raised again after the 500 response
            await cast("Any", cast("ASGITransport", self.http._transport).app)(scope, receive, send)
        return Response(start["status"], headers=start["headers"], content=b"".join(chunks))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
