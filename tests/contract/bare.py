"""Requests handed to the application as they are: what a client makes of them first costs as much as refusing them."""

import json as json_of
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, unquote

from httpx import ASGITransport, AsyncClient, Response

from tests.tenancy.fixtures import Nobody

PLAIN = "%/?#[]@!$&'()*+,;=:-._~"
"""What stands in an address as it is; everything else is sent in per cent."""


@dataclass(frozen=True, slots=True)
class Bare:
    """Sends requests with the headers given, as `Nobody` does, without a client between."""

    http: AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def request(self, method: str, path: str, **options: Any) -> Response:
        if path.partition("?")[0].endswith("/stream"):  # without end: the client hangs up
            return await Nobody(self.http, self.headers).request(method, path, **options)
        headers: dict[str | bytes, str | bytes] = {**options.pop("headers", {})}
        headers |= self.headers.items()
        if "json" in options:
            content = json_of.dumps(options.pop("json")).encode()
            headers["content-type"] = "application/json"
        else:
            content = options.pop("content", b"")
        assert not options
        return await self._answer(method, path, headers, content)

    async def _answer(
        self, method: str, path: str, headers: dict[str | bytes, str | bytes], content: bytes
    ) -> Response:
        address, _, query = quote(path, safe=PLAIN).partition("?")
        whole = self.http.base_url.path.rstrip("/") + address
        said = {"host": self.http.base_url.host, **headers}
        if content or method not in {"GET", "HEAD", "DELETE"}:
            said |= {"content-length": str(len(content))}
        head: dict[str, Any] = {"status": 500, "headers": []}  # unless the application answers
        pieces: list[bytes] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                pieces.append(message.get("body", b""))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in said.items()],
            "scheme": self.http.base_url.scheme,
            "path": unquote(whole),
            "raw_path": whole.encode(),
            "query_string": query.encode(),
            "server": (self.http.base_url.host, None),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        with suppress(Exception):  # after it was answered with 500
            await cast("Any", cast("ASGITransport", self.http._transport).app)(scope, receive, send)
        return Response(head["status"], headers=head["headers"], content=b"".join(pieces))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
