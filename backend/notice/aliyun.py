"""Aliyun's documented HTTP protocols: SMS (Dysms 2017-05-25) and the real-name check (Cloudauth 2019-03-07).

Both are RPC-style calls signed by signature version 1.0: HMAC-SHA1 over the sorted, percent-encoded
parameters. The provider promises no idempotence: after a doubtful send, ask `find_sent` before sending again.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import httpx
import structlog

from backend.core.clock import LEGAL_ZONE, Clock, now
from backend.core.errors import DomainError
from backend.settings import Settings

log = structlog.get_logger()

FAKE_HEADER = "X-Fake-Gateway"
SMS_VERSION = "2017-05-25"
REAL_NAME_VERSION = "2019-03-07"
TIMEOUT_SECONDS = 10.0
MATCH, MISMATCH, NOT_ON_RECORD = "1", "2", "3"
_DETAILS_PAGE = 50

PERMANENT = frozenset(
    {
        "isv.MOBILE_NUMBER_ILLEGAL",
        "isv.BLACK_KEY_CONTROL_LIMIT",
        "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
        "isv.TEMPLATE_MISSING_PARAMETERS",
        "isv.TEMPLATE_PARAMS_ILLEGAL",
        "isv.PARAM_LENGTH_LIMIT",
    }
)
"""Refusals of this number or text, which trying again does not change. Any other code may pass (the account is
in arrears, a limit is reached, the service is down) and is tried again."""


class GatewayUnreachable(DomainError):
    """The gateway did not answer, or not in its protocol; whether it acted is unknown."""

    code = "gateway_unreachable"
    status = 503
    zh = "短信或实名网关暂时无法使用：{reason}。请稍后重试。"
    en = "The SMS or real-name gateway cannot be used now: {reason}. Try again later."


class FakeGatewayRefused(GatewayUnreachable):
    """A production process was pointed at the fake gateway, whose word counts for nothing."""

    code = "fake_gateway_refused"


class GatewayRefused(DomainError):
    """The gateway answered with an error code."""

    code = "gateway_refused"
    status = 502
    zh = "网关拒绝了请求（{gateway_code}）：{reason}"
    en = "The gateway refused the request ({gateway_code}): {reason}"


def encode(value: str) -> str:
    """Percent-encoding of RFC 3986, as the signature demands."""
    return quote(value, safe="-_.~")


def sign(method: str, parameters: Mapping[str, str], secret: str) -> str:
    """Signature version 1.0 (Base64 of HMAC-SHA1) of a request to `/`; `parameters` without `Signature`."""
    canonical = "&".join(f"{encode(key)}={encode(value)}" for key, value in sorted(parameters.items()))
    text = f"{method}&{encode('/')}&{encode(canonical)}"
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def report_token(secret: str) -> str:
    """The secret path segment of our report callback, derived from the gateway's secret."""
    return hmac.new(secret.encode(), b"dianming sms-reports", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the gateway is and how we prove who we are; `refuses_fake` in production."""

    url: str
    access_key: str
    secret: str
    refuses_fake: bool

    @classmethod
    def of(cls, settings: Settings, url: str | None = None) -> "Endpoint":
        """The endpoint of the settings, or another one under the same account."""
        return cls(
            url or settings.gateway_url,
            settings.gateway_access_key,
            settings.gateway_secret,
            refuses_fake=settings.env == "production",
        )


class AliyunRpc:
    """Signed calls to one endpoint. Its HTTP client lives as long as it does: `aclose` at the end."""

    def __init__(self, endpoint: Endpoint, clock: Clock = now) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, action: str, version: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """The JSON answer; raises `GatewayUnreachable` (perhaps it acted), `GatewayRefused` never.

        Answers that carry an error code are returned like others: the code means something to the caller.
        """
        signed = self._signed({"Action": action, "Version": version, **parameters})
        try:
            response = await self._http.post(self._endpoint.url, data=signed)
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            # The text of the error could repeat the request, which holds phone and ID numbers.
            raise GatewayUnreachable(reason=type(error).__name__) from None
        if FAKE_HEADER in response.headers and self._endpoint.refuses_fake:
            log.error(
                "THE GATEWAY IS FAKE: nothing was sent and nobody was verified; set DIANMING_GATEWAY_URL",
                gateway=self._endpoint.url,
            )
            raise FakeGatewayRefused(reason="the gateway is a fake")
        if not isinstance(body, dict):
            raise GatewayUnreachable(reason="not an answer of the protocol")
        return body

    def _signed(self, parameters: Mapping[str, str]) -> dict[str, str]:
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


@dataclass(frozen=True, slots=True)
class Sent:
    """The gateway took the messages; its `biz_id` is None where only its records told us so."""

    biz_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The gateway did not take them; `permanent` if trying again cannot help."""

    code: str

    @property
    def permanent(self) -> bool:
        """Whether the refusal is of the number or the text itself."""
        return self.code in PERMANENT

    @property
    def of_one_number(self) -> bool:
        """Whether one number of a batch may be the cause, so that the others deserve to go alone."""
        return self.permanent or self.code == "isv.BUSINESS_LIMIT_CONTROL"


Outcome = Sent | Refused


@dataclass(frozen=True, slots=True)
class Sms:
    """What to send: the registered signature and template with its parameters; `out_id` comes back in reports."""

    sign_name: str
    template_code: str
    params: Mapping[str, str]
    out_id: str


class AliyunSms:
    """The SMS service."""

    def __init__(self, rpc: AliyunRpc) -> None:
        self._rpc = rpc

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rpc.aclose()

    async def send(self, phones: Sequence[str], sms: Sms) -> Outcome:
        """Send one text to 1 to 100 numbers, all or none; raises `GatewayUnreachable`: perhaps it was sent."""
        params = json.dumps(dict(sms.params), ensure_ascii=False)
        common = {"TemplateCode": sms.template_code, "OutId": sms.out_id}
        if len(phones) == 1:
            one = {"PhoneNumbers": phones[0], "SignName": sms.sign_name, "TemplateParam": params}
            answer = await self._rpc.call("SendSms", SMS_VERSION, {**common, **one})
        else:
            many = {
                "PhoneNumberJson": json.dumps(list(phones)),
                "SignNameJson": json.dumps([sms.sign_name] * len(phones), ensure_ascii=False),
                "TemplateParamJson": json.dumps([dict(sms.params)] * len(phones), ensure_ascii=False),
            }
            answer = await self._rpc.call("SendBatchSms", SMS_VERSION, {**common, **many})
        code = str(answer.get("Code"))
        return Sent(answer.get("BizId")) if code == "OK" else Refused(code)

    async def find_sent(self, phone: str, out_id: str, around: datetime) -> bool:
        """Whether the gateway's records of `around`'s day hold a message with `out_id` to `phone`.

        Raises `GatewayUnreachable`, and `GatewayRefused` if the records cannot be read.
        """
        page = 1
        while True:
            asked = {
                "PhoneNumber": phone,
                "SendDate": around.astimezone(LEGAL_ZONE).strftime("%Y%m%d"),
                "PageSize": str(_DETAILS_PAGE),
                "CurrentPage": str(page),
            }
            answer = await self._rpc.call("QuerySendDetails", SMS_VERSION, asked)
            if answer.get("Code") != "OK":
                raise GatewayRefused(gateway_code=answer.get("Code"), reason="QuerySendDetails")
            details = answer.get("SmsSendDetailDTOs", {}).get("SmsSendDetailDTO", [])
            if any(detail.get("OutId") == out_id for detail in details):
                return True
            if len(details) < _DETAILS_PAGE:
                return False
            page += 1


Verdict = Literal["match", "mismatch", "unavailable"]


class AliyunRealName:
    """The two-factor real-name check (身份二要素核验): do this name and this ID number belong together?"""

    def __init__(self, rpc: AliyunRpc) -> None:
        self._rpc = rpc

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rpc.aclose()

    async def verify(self, name: str, id_number: str) -> Verdict:
        """`match`, `mismatch` (also when nobody has that number), or `unavailable` if the source cannot say."""
        asked = {"ParamType": "normal", "IdentifyNum": id_number, "UserName": name}
        try:
            answer = await self._rpc.call("Id2MetaVerify", REAL_NAME_VERSION, asked)
        except GatewayUnreachable as error:
            log.warning("real-name check unavailable", reason=error.params["reason"])
            return "unavailable"
        result = answer.get("ResultObject")
        biz_code = str(result.get("BizCode")) if isinstance(result, dict) else None
        if str(answer.get("Code")) == "200" and biz_code == MATCH:
            return "match"
        if str(answer.get("Code")) == "200" and biz_code in {MISMATCH, NOT_ON_RECORD}:
            return "mismatch"
        log.warning("real-name check unavailable", code=str(answer.get("Code")), biz_code=biz_code)
        return "unavailable"
