"""A FAKE of the SMS and real-name gateway over a real socket, for demos, development and tests.

It speaks the documented protocols and checks what the provider checks (key, signature, time, nonce, numbers),
but sends nothing and knows nobody. Like the provider it does not deduplicate: sending twice is two messages.
Every answer carries `X-Fake-Gateway: true`, which production processes refuse.
"""

import asyncio
import hmac
import json
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.clock import LEGAL_ZONE, Clock, now
from backend.notice.aliyun import FAKE_HEADER, sign

INBOX_LENGTH = 50
_NUMBER = re.compile(r"1[0-9]{10}", re.ASCII)
_CLOCK_SKEW = timedelta(minutes=15)
_BATCH_LIMIT = 100
_REPORT_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """One message that the fake pretends to have sent."""

    phone: str
    sign_name: str
    template_code: str
    params: dict[str, str]
    out_id: str
    biz_id: str
    at: datetime


class Refusal(Exception):
    """The answer that carries an error code."""

    def __init__(self, code: str, status: int = 200) -> None:
        super().__init__(code)
        self.code, self.status = code, status


@dataclass(slots=True)
class FakeGateway:
    """The fake's account, rules and memory. `app` serves it; `push_reports` tells of deliveries.

    `refusals` maps numbers to the error code that sending to them gets; numbers in `undeliverable` are taken
    but reported as failed. `knows` tells whether a text is an ID number; those whose last character is in
    `mismatching` do not match any name.
    """

    access_key: str
    secret: str
    knows: Callable[[str], bool]
    report_url: str | None = None
    mismatching: str = ""
    refusals: dict[str, str] = field(default_factory=dict)
    undeliverable: set[str] = field(default_factory=set)
    clock: Clock = now
    carrier_clock: Clock = now
    """What reports are dated by; a demonstration's carrier lives in the demonstration's time."""
    inbox: dict[str, deque[FakeMessage]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=INBOX_LENGTH))
    )
    requests: list[str] = field(default_factory=list)
    _nonces: set[str] = field(default_factory=set)
    _unreported: list[FakeMessage] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        """The ASGI application; with a `report_url` it pushes reports while it runs."""
        routes = [
            Route("/", self._rpc, methods=["POST"]),
            Route("/inbox/{phone}", self._show_inbox, methods=["GET"]),
        ]
        return Starlette(
            routes=routes, middleware=[Middleware(_SaysFake)], lifespan=lambda _: self._reporting()
        )

    async def push_reports(self, url: str) -> int:
        """Push the report of every message not yet reported; returns how many were accepted."""
        told = list(self._unreported)
        if not told:
            return 0
        async with httpx.AsyncClient() as http:
            response = await http.post(url, json=[self._report(message) for message in told])
        if response.status_code != httpx.codes.OK or response.json().get("code") != 0:
            return 0
        del self._unreported[: len(told)]
        return len(told)

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._push_for_ever(self.report_url)) if self.report_url else None
        yield
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _push_for_ever(self, url: str) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._unreported:
                with suppress(httpx.HTTPError, ValueError):
                    if await self.push_reports(url):
                        continue
                await asyncio.sleep(_REPORT_RETRY_SECONDS)

    async def _show_inbox(self, request: Request) -> JSONResponse:
        """The last messages to a number, newest first."""
        phone = request.path_params["phone"]
        messages = [
            {
                "sign_name": message.sign_name,
                "template_code": message.template_code,
                "params": message.params,
                "out_id": message.out_id,
                "biz_id": message.biz_id,
                "at": message.at.isoformat(),
            }
            for message in reversed(self.inbox.get(phone, deque()))
        ]
        return JSONResponse({"phone": phone, "messages": messages})

    async def _rpc(self, request: Request) -> JSONResponse:
        async with request.form() as form:
            asked = {key: value for key, value in form.items() if isinstance(value, str)}
        self.requests.append(asked.get("Action", ""))
        try:
            self._authenticate(asked)
            body, status = self._answer(asked), 200
        except Refusal as refusal:
            body, status = {"Code": refusal.code, "Message": refusal.code}, refusal.status
        except (KeyError, ValueError):
            body, status = {"Code": "isv.INVALID_PARAMETERS", "Message": "参数异常"}, 200
        return JSONResponse({"RequestId": str(uuid4()).upper(), **body}, status)

    def _answer(self, asked: Mapping[str, str]) -> dict[str, Any]:
        match asked["Action"], asked["Version"]:
            case "SendSms", "2017-05-25":
                return self._send_one(asked)
            case "SendBatchSms", "2017-05-25":
                return self._send_batch(asked)
            case "QuerySendDetails", "2017-05-25":
                return self._details(asked)
            case "Id2MetaVerify", "2019-03-07":
                return self._verify(asked)
        raise Refusal("InvalidAction.NotFound", 404)

    def _authenticate(self, asked: Mapping[str, str]) -> None:
        if asked.get("AccessKeyId") != self.access_key:
            raise Refusal("InvalidAccessKeyId.NotFound", 404)
        unsigned = {key: value for key, value in asked.items() if key != "Signature"}
        if not hmac.compare_digest(asked.get("Signature", "").encode(), self._expected(unsigned)):
            raise Refusal("SignatureDoesNotMatch", 400)
        signed_at = datetime.strptime(asked["Timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(self.clock() - signed_at) > _CLOCK_SKEW:
            raise Refusal("InvalidTimeStamp.Expired", 400)
        if asked["SignatureNonce"] in self._nonces:
            raise Refusal("SignatureNonceUsed", 400)
        self._nonces.add(asked["SignatureNonce"])

    def _expected(self, unsigned: Mapping[str, str]) -> bytes:
        return sign("POST", unsigned, self.secret).encode()

    def _send_one(self, asked: Mapping[str, str]) -> dict[str, Any]:
        phones = asked["PhoneNumbers"].split(",")
        params = json.loads(asked.get("TemplateParam") or "{}")
        return self._take(asked, phones, [asked["SignName"]] * len(phones), [params] * len(phones))

    def _send_batch(self, asked: Mapping[str, str]) -> dict[str, Any]:
        phones, signs = json.loads(asked["PhoneNumberJson"]), json.loads(asked["SignNameJson"])
        params = json.loads(asked["TemplateParamJson"])
        if not len(phones) == len(signs) == len(params):
            raise Refusal("isv.PARAM_LENGTH_LIMIT")
        if len(phones) > _BATCH_LIMIT:
            raise Refusal("isv.MOBILE_COUNT_OVER_LIMIT")
        return self._take(asked, phones, signs, params)

    def _take(
        self, asked: Mapping[str, str], phones: list[str], signs: list[str], params: list[dict[str, str]]
    ) -> dict[str, Any]:
        for phone in phones:
            if not _NUMBER.fullmatch(phone):
                raise Refusal("isv.MOBILE_NUMBER_ILLEGAL")
            if phone in self.refusals:
                raise Refusal(self.refusals[phone])
        biz_id = f"{uuid4().int % 10**18}^0"
        for phone, sign_name, values in zip(phones, signs, params, strict=True):
            template, out_id = asked["TemplateCode"], asked.get("OutId", "")
            message = FakeMessage(phone, sign_name, template, values, out_id, biz_id, self.carrier_clock())
            self.inbox[phone].append(message)
            self._unreported.append(message)
        self._news.set()
        return {"Code": "OK", "Message": "OK", "BizId": biz_id}

    def _details(self, asked: Mapping[str, str]) -> dict[str, Any]:
        size, page = int(asked["PageSize"]), int(asked["CurrentPage"])
        found = [
            {
                "PhoneNum": message.phone,
                "OutId": message.out_id,
                "TemplateCode": message.template_code,
                "SendStatus": 2 if message.phone in self.undeliverable else 3,
                "SendDate": _china_time(message.at),
            }
            for message in reversed(self.inbox.get(asked["PhoneNumber"], deque()))
            if message.at.astimezone(LEGAL_ZONE).strftime("%Y%m%d") == asked["SendDate"]
        ]
        page_of = found[(page - 1) * size : page * size]
        details = {"SmsSendDetailDTO": page_of}
        return {"Code": "OK", "Message": "OK", "TotalCount": len(found), "SmsSendDetailDTOs": details}

    def _verify(self, asked: Mapping[str, str]) -> dict[str, Any]:
        number = asked["IdentifyNum"]
        if not asked["UserName"] or not self.knows(number):
            return {"Code": "401", "Message": "参数非法"}
        biz_code = "2" if number[-1] in self.mismatching else "1"
        return {"Code": "200", "Message": "success", "ResultObject": {"BizCode": biz_code}}

    def _report(self, message: FakeMessage) -> dict[str, Any]:
        success = message.phone not in self.undeliverable
        return {
            "phone_number": message.phone,
            "send_time": _china_time(message.at),
            "report_time": _china_time(self.carrier_clock()),
            "success": success,
            "err_code": "DELIVERED" if success else "UNDELIV",
            "err_msg": "用户接收成功" if success else "未送达",
            "sms_size": "1",
            "biz_id": message.biz_id,
            "out_id": message.out_id,
        }


def _china_time(instant: datetime) -> str:
    return instant.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M:%S")


class _SaysFake:
    """Marks every answer as the fake's."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (FAKE_HEADER.lower().encode(), b"true")]
            await send(message)

        await self.app(scope, receive, marked)
