"""Aliyun's RPC protocol: signed form requests with JSON answers, used for SMS and for the real-name check.

Requests carry signature version 1.0: HMAC-SHA1 over the sorted, percent-encoded parameters. Aliyun's own SDK is
large and synchronous, so the few lines are written here; a test checks them against the documented example.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import structlog

from backend.core.clock import Clock, now
from backend.notice.errors import FakeGatewayRefused, GatewayUnreachable
from backend.settings import Settings

log = structlog.get_logger()

FAKE_HEADER = "X-Fake-Gateway"
TIMEOUT_SECONDS = 10.0


def percent_encode(value: str) -> str:
    """Percent-encoding of RFC 3986, as the signature requires."""
    return quote(value, safe="-_.~")


def sign(method: str, parameters: Mapping[str, str], secret: str) -> str:
    """Signature version 1.0 (Base64 of HMAC-SHA1) of a request to `/`; `parameters` without `Signature`."""
    canonical = "&".join(
        f"{percent_encode(key)}={percent_encode(value)}" for key, value in sorted(parameters.items())
    )
    text = f"{method}&{percent_encode('/')}&{percent_encode(canonical)}"
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and credentials of the gateway. `refuses_fake` is set in production."""

    url: str
    access_key: str
    secret: str
    refuses_fake: bool

    @classmethod
    def of(cls, settings: Settings, url: str | None = None) -> "Endpoint":
        """The endpoint of the settings, or another address under the same account."""
        return cls(
            url or settings.gateway_url,
            settings.gateway_access_key,
            settings.gateway_secret,
            refuses_fake=settings.env == "production",
        )


class AliyunRpc:
    """Signed calls to one endpoint. Owns an HTTP client; call `aclose` at the end."""

    def __init__(self, endpoint: Endpoint, clock: Clock = now) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, action: str, version: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the JSON answer, also when it carries an error code.

        Raises `GatewayUnreachable` without a valid answer; the gateway may have acted nevertheless.
        """
        signed = self._sign_parameters({"Action": action, "Version": version, **parameters})
        try:
            response = await self._http.post(self._endpoint.url, data=signed)
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            # The error's text may repeat the request, which holds phone and ID numbers.
            raise GatewayUnreachable(reason=type(error).__name__) from None
        if FAKE_HEADER in response.headers and self._endpoint.refuses_fake:
            log.error(
                "THE GATEWAY IS FAKE: no SMS was sent and no name was verified; set DIANMING_GATEWAY_URL",
                gateway=self._endpoint.url,
            )
            raise FakeGatewayRefused(reason="the gateway is a fake")
        if not isinstance(body, dict):
            raise GatewayUnreachable(reason="not an answer of the protocol")
        return body

    def _sign_parameters(self, parameters: Mapping[str, str]) -> dict[str, str]:
        complete = {
            "AccessKeyId": self._endpoint.access_key,
            "Format": "JSON",
            "RegionId": "cn-hangzhou",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": str(uuid4()),
            "SignatureVersion": "1.0",
            "Timestamp": self._clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
            **parameters,
        }
        return {**complete, "Signature": sign("POST", complete, self._endpoint.secret)}
