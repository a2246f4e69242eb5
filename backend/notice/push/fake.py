"""A FAKE push service over a real socket, for tests. It speaks the protocol and reads what a phone would read.

It checks what push services check (RFC 8030, RFC 8292): the token's signature, audience and lifetime, the key that the phone
subscribed with, and the headers. It then decrypts like the phone (RFC 8291). Every answer carries `X-Fake-Gateway: true`, which
production processes refuse.
"""

import base64
import json
import os
from dataclasses import dataclass, field
from typing import Any

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.core.ids import new_id
from backend.notice.aliyun_rpc import FAKE_HEADER
from backend.notice.push.client import decode_base64url

_CREATED, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _GONE = 201, 400, 401, 403, 410


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@dataclass(slots=True)
class FakePhone:
    """A subscribed browser: its keys, the server's key that it subscribed with, and what it received."""

    server_key: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def keys(self) -> dict[str, str]:
        """The public keys, as `PushSubscription.toJSON` gives them."""
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"p256dh": _text(point), "auth": _text(self.auth)}


@dataclass(slots=True)
class FakePushService:
    """Subscriptions by name, and the answers that a test wants: `answers` maps a name to a status for its next message."""

    origin: str = ""
    phones: dict[str, FakePhone] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(routes=[Route("/push/{name}", self._push, methods=["POST"])])

    def subscribe(self, server_key: str) -> tuple[str, FakePhone]:
        """Subscribe a new phone; returns its endpoint and the phone."""
        name, phone = new_id().hex, FakePhone(server_key)
        self.phones[name] = phone
        return f"{self.origin}/push/{name}", phone

    def unsubscribe(self, endpoint: str) -> None:
        """Forget a phone, as a browser does whose site data were cleared."""
        del self.phones[endpoint.rsplit("/", 1)[1]]

    async def _push(self, request: Request) -> Response:
        name = request.path_params["name"]
        status = self.answers.pop(name, None) or self._receive(
            self.phones.get(name), request, await request.body()
        )
        return Response(status_code=status, headers={FAKE_HEADER: "true"})

    def _receive(self, phone: FakePhone | None, request: Request, body: bytes) -> int:
        if phone is None:
            return _GONE
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        fields = dict(part.strip().split("=", 1) for part in credentials.split(",") if "=" in part)
        if scheme != "vapid" or fields.get("k") != phone.server_key:
            return _UNAUTHORIZED
        if not self._is_valid_token(fields.get("t", ""), phone.server_key):
            return _FORBIDDEN
        if not request.headers.get("ttl", "").isdecimal():
            return _BAD_REQUEST
        if request.headers.get("content-encoding") != "aes128gcm":
            return _BAD_REQUEST
        text = http_ece.decrypt(body, private_key=phone.key, auth_secret=phone.auth, version="aes128gcm")
        phone.received.append(json.loads(text))
        phone.headers.append(dict(request.headers))
        return _CREATED

    def _is_valid_token(self, token: str, server_key: str) -> bool:
        """Signed by the server's key, for this service, with an end within a day and a contact (RFC 8292)."""
        point = decode_base64url(server_key)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        try:
            claims = jwt.decode(
                token, key, ["ES256"], audience=self.origin, options={"require": ["aud", "exp", "sub"]}
            )
        except jwt.InvalidTokenError:
            return False
        return str(claims["sub"]).startswith(("mailto:", "https://"))
