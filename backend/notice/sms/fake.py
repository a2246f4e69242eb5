"""A FAKE of Aliyun's SMS and real-name gateway over a real socket, for demos, development and tests.

It implements the documented protocols and checks what Aliyun checks (key, signature, time, nonce, numbers), but
sends nothing and has no register of persons. Like Aliyun it does not deduplicate: sending twice is two messages.
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
from backend.notice.aliyun_rpc import FAKE_HEADER, sign

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


class ErrorAnswer(Exception):
    """An answer that carries an error code."""

    def __init__(self, code: str, status: int = 200) -> None:
        super().__init__(code)
        self.code, self.status = code, status


@dataclass(slots=True)
class FakeGateway:
    """The fake's account, rules and stored messages. `app` serves it; `push_reports` sends delivery reports.

    `refusals` maps phone numbers to the error code of a send; numbers in `undeliverable` are accepted and then
    reported as failed. `is_id_number` validates ID numbers; those whose last character is in `mismatching` match
    no name.
    """

    access_key: str
    secret: str
    is_id_number: Callable[[str], bool]
    report_url: str | None = None
    mismatching: str = ""
    refusals: dict[str, str] = field(default_factory=dict)
    undeliverable: set[str] = field(default_factory=set)
    clock: Clock = now
    carrier_clock: Clock = now
    """Dates the reports; a demonstration shifts it together with its own clock."""
    inbox: dict[str, deque[FakeMessage]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=INBOX_LENGTH))
    )
    requests: list[str] = field(default_factory=list)
    _nonces: set[str] = field(default_factory=set)
    _unreported: list[FakeMessage] = field(default_factory=list)
    _new_messages: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        """The ASGI application; with a `report_url` it pushes reports while it runs."""
        routes = [
            Route("/", self._rpc, methods=["POST"]),
            Route("/inbox/{phone}", self._show_inbox, methods=["GET"]),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(_FakeHeaderMiddleware)],
            lifespan=lambda _: self._run_reporting(),
        )

    async def push_reports(self, url: str) -> int:
        """Push the report of every message not yet reported; returns how many were accepted."""
        pending = list(self._unreported)
        if not pending:
            return 0
        async with httpx.AsyncClient() as http:
            response = await http.post(url, json=[self._report(message) for message in pending])
        if response.status_code != httpx.codes.OK or response.json().get("code") != 0:
            return 0
        del self._unreported[: len(pending)]
        return len(pending)

    @asynccontextmanager
    async def _run_reporting(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._push_reports_forever(self.report_url)) if self.report_url else None
        yield
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _push_reports_forever(self, url: str) -> None:
        while True:
            await self._new_messages.wait()
            self._new_messages.clear()
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
        async with request.form() as fields:
            form = {key: value for key, value in fields.items() if isinstance(value, str)}
        self.requests.append(form.get("Action", ""))
        try:
            self._authenticate(form)
            body, status = self._build_response(form), 200
        except ErrorAnswer as error:
            body, status = {"Code": error.code, "Message": error.code}, error.status
        except (KeyError, ValueError):
            body, status = {"Code": "isv.INVALID_PARAMETERS", "Message": "参数异常"}, 200
        return JSONResponse({"RequestId": str(uuid4()).upper(), **body}, status)

    def _build_response(self, form: Mapping[str, str]) -> dict[str, Any]:
        match form["Action"], form["Version"]:
            case "SendSms", "2017-05-25":
                return self._send_one(form)
            case "SendBatchSms", "2017-05-25":
                return self._send_batch(form)
            case "QuerySendDetails", "2017-05-25":
                return self._details(form)
            case "Id2MetaVerify", "2019-03-07":
                return self._verify(form)
        raise ErrorAnswer("InvalidAction.NotFound", 404)

    def _authenticate(self, form: Mapping[str, str]) -> None:
        if form.get("AccessKeyId") != self.access_key:
            raise ErrorAnswer("InvalidAccessKeyId.NotFound", 404)
        unsigned = {key: value for key, value in form.items() if key != "Signature"}
        if not hmac.compare_digest(form.get("Signature", "").encode(), self._compute_signature(unsigned)):
            raise ErrorAnswer("SignatureDoesNotMatch", 400)
        signed_at = datetime.strptime(form["Timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(self.clock() - signed_at) > _CLOCK_SKEW:
            raise ErrorAnswer("InvalidTimeStamp.Expired", 400)
        if form["SignatureNonce"] in self._nonces:
            raise ErrorAnswer("SignatureNonceUsed", 400)
        self._nonces.add(form["SignatureNonce"])

    def _compute_signature(self, unsigned: Mapping[str, str]) -> bytes:
        return sign("POST", unsigned, self.secret).encode()

    def _send_one(self, form: Mapping[str, str]) -> dict[str, Any]:
        phones = form["PhoneNumbers"].split(",")
        params = json.loads(form.get("TemplateParam") or "{}")
        return self._accept(form, phones, [form["SignName"]] * len(phones), [params] * len(phones))

    def _send_batch(self, form: Mapping[str, str]) -> dict[str, Any]:
        phones, signs = json.loads(form["PhoneNumberJson"]), json.loads(form["SignNameJson"])
        params = json.loads(form["TemplateParamJson"])
        if not len(phones) == len(signs) == len(params):
            raise ErrorAnswer("isv.PARAM_LENGTH_LIMIT")
        if len(phones) > _BATCH_LIMIT:
            raise ErrorAnswer("isv.MOBILE_COUNT_OVER_LIMIT")
        return self._accept(form, phones, signs, params)

    def _accept(
        self, form: Mapping[str, str], phones: list[str], signs: list[str], params: list[dict[str, str]]
    ) -> dict[str, Any]:
        for phone in phones:
            if not _NUMBER.fullmatch(phone):
                raise ErrorAnswer("isv.MOBILE_NUMBER_ILLEGAL")
            if phone in self.refusals:
                raise ErrorAnswer(self.refusals[phone])
        biz_id = f"{uuid4().int % 10**18}^0"
        for phone, sign_name, values in zip(phones, signs, params, strict=True):
            template, out_id = form["TemplateCode"], form.get("OutId", "")
            message = FakeMessage(phone, sign_name, template, values, out_id, biz_id, self.carrier_clock())
            self.inbox[phone].append(message)
            self._unreported.append(message)
        self._new_messages.set()
        return {"Code": "OK", "Message": "OK", "BizId": biz_id}

    def _details(self, form: Mapping[str, str]) -> dict[str, Any]:
        size, page = int(form["PageSize"]), int(form["CurrentPage"])
        found = [
            {
                "PhoneNum": message.phone,
                "OutId": message.out_id,
                "TemplateCode": message.template_code,
                "SendStatus": 2 if message.phone in self.undeliverable else 3,
                "SendDate": _china_time(message.at),
            }
            for message in reversed(self.inbox.get(form["PhoneNumber"], deque()))
            if message.at.astimezone(LEGAL_ZONE).strftime("%Y%m%d") == form["SendDate"]
        ]
        page_of = found[(page - 1) * size : page * size]
        details = {"SmsSendDetailDTO": page_of}
        return {"Code": "OK", "Message": "OK", "TotalCount": len(found), "SmsSendDetailDTOs": details}

    def _verify(self, form: Mapping[str, str]) -> dict[str, Any]:
        number = form["IdentifyNum"]
        if not form["UserName"] or not self.is_id_number(number):
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


class _FakeHeaderMiddleware:
    """Adds the fake's header to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (FAKE_HEADER.lower().encode(), b"true")]
            await send(message)

        await self.app(scope, receive, send_with_header)
