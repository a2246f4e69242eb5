"""Sends encrypted messages to push services: RFC 8030 (protocol), RFC 8291 (encryption) and RFC 8292 (VAPID).

The library `http_ece` encrypts. A push service sees who receives when, and how long the message is, never its text.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

import http_ece
import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.core.app_context import AppContext
from backend.core.clock import Clock, now
from backend.notice.aliyun_rpc import FAKE_HEADER
from backend.notice.errors import PushKeysInvalid, PushUnavailable
from backend.notice.push.addresses import is_push_address, origin_of
from backend.notice.settings import NoticeSettings, get_notice_settings

log = structlog.get_logger()

TIMEOUT_SECONDS = 10.0
MAX_CONNECTIONS = 16
TIME_TO_LIVE = timedelta(hours=1)
"""How long a push service keeps a message for a phone that is off. Later the notice is in the inbox, and a roll call closed."""
TOKEN_LIFETIME = timedelta(hours=12)
"""RFC 8292 allows a day."""
_POINT_BYTES, _AUTH_BYTES = 65, 16
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})

Urgency = Literal["high", "normal"]
PushOutcome = Literal["sent", "gone", "refused", "retry"]


@dataclass(frozen=True, slots=True)
class PushTarget:
    """Where and how to encrypt: the address and the two keys of a subscription, in base64url."""

    endpoint: str
    p256dh: str
    auth: str

    def check_keys(self) -> None:
        """Raise `PushKeysInvalid` unless both keys have the form of RFC 8291."""
        try:
            point, secret = decode_base64url(self.p256dh), decode_base64url(self.auth)
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise PushKeysInvalid from error
        if len(point) != _POINT_BYTES or len(secret) != _AUTH_BYTES:
            raise PushKeysInvalid


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of one message. `code` says why it was not sent; it holds no address."""

    outcome: PushOutcome
    code: str | None = None


class PushClient(Protocol):
    """Sends one message to one phone."""

    async def send(self, target: PushTarget, payload: Mapping[str, str], urgency: Urgency) -> PushResult:
        """Send; never raises for what a push service answers."""
        ...


class WebPush:
    """The client of this process. Owns an HTTP client; call `aclose` at the end."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        settings: NoticeSettings,
        *,
        in_production: bool,
        clock: Clock = now,
    ) -> None:
        self._key, self._settings, self._in_production, self._clock = key, settings, in_production, clock
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, target: PushTarget, payload: Mapping[str, str], urgency: Urgency) -> PushResult:
        """Send `payload` as JSON."""
        if not is_push_address(target.endpoint, self._settings.push_hosts, in_production=self._in_production):
            return PushResult("gone", "push_service_unknown")
        headers = {
            "Authorization": self._authorize(origin_of(target.endpoint)),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(round(TIME_TO_LIVE.total_seconds())),
            "Urgency": urgency,
        }
        try:
            body = encrypt(target, json.dumps(payload).encode())
            answer = await self._http.post(target.endpoint, content=body, headers=headers)
        except httpx.HTTPError as error:
            return PushResult("retry", type(error).__name__)
        if FAKE_HEADER in answer.headers and self._in_production:
            log.error("THE PUSH SERVICE IS FAKE: nothing was sent; correct DIANMING_PUSH_HOSTS")
            return PushResult("refused", "fake_push_service")
        return read_answer(answer.status_code)

    def _authorize(self, audience: str) -> str:
        expires = self._clock() + TOKEN_LIFETIME
        claims = {"aud": audience, "exp": round(expires.timestamp()), "sub": self._settings.push_contact}
        token = jwt.encode(claims, self._key, algorithm="ES256")
        return f"vapid t={token}, k={public_key_text(self._key)}"


def read_answer(status: int) -> PushResult:
    """The result that an HTTP status means (RFC 8030, 5 and 7.3)."""
    if httpx.codes.is_success(status):
        return PushResult("sent")
    if status in _GONE:
        return PushResult("gone", f"push_{status}")
    return PushResult("retry" if status in _RETRIED else "refused", f"push_{status}")


def encrypt(target: PushTarget, text: bytes) -> bytes:
    """Encrypt for one phone, with a new key of our own for each message."""
    sealed: bytes = http_ece.encrypt(
        text,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=decode_base64url(target.p256dh),
        auth_secret=decode_base64url(target.auth),
        version="aes128gcm",
    )
    return sealed


def decode_base64url(value: str) -> bytes:
    """Decode base64url with or without padding; raises ValueError."""
    return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)


def public_key_text(key: ec.EllipticCurvePrivateKey) -> str:
    """The public key as browsers take it: the uncompressed point in base64url without padding."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def private_key(settings: NoticeSettings) -> ec.EllipticCurvePrivateKey | None:
    """The key of the settings; None if web push is off. Raises ValueError for a key of another form."""
    if settings.push_private_key is None:
        return None
    return ec.derive_private_key(
        int.from_bytes(decode_base64url(settings.push_private_key.get_secret_value())), ec.SECP256R1()
    )


def push_public_key() -> str | None:
    """The public key with which browsers subscribe; None if web push is off."""
    key = private_key(get_notice_settings())
    return public_key_text(key) if key else None


def web_push(app_context: AppContext) -> PushClient:
    """Make the client of this process; use it as `app_context.service(web_push)`. Raises `PushUnavailable`."""
    settings = get_notice_settings()
    key = private_key(settings)
    if key is None:
        raise PushUnavailable
    return WebPush(key, settings, in_production=app_context.settings.env == "production")
