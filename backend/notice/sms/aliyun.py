"""Aliyun SMS (Dysms 2017-05-25): sending, looking up what was sent, and the form of its delivery reports."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from backend.core.clock import LEGAL_ZONE
from backend.notice.aliyun_rpc import AliyunRpc, Endpoint
from backend.notice.errors import GatewayRefused
from backend.notice.sms.port import DeliveryReport, Refused, SendResult, Sent, Sms
from backend.settings import Settings

VERSION = "2017-05-25"
MAX_NUMBERS = 100
"""The most numbers that one SendBatchSms takes."""
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
"""Refusals of this number or text. Any other code may be temporary (the account is in arrears, a limit is
reached, the service is down) and the message is sent again."""
_RATE_LIMITED = "isv.BUSINESS_LIMIT_CONTROL"


class AliyunSms:
    """The SMS service of Aliyun; implements `SmsProvider`."""

    max_numbers = MAX_NUMBERS

    def __init__(self, rpc: AliyunRpc) -> None:
        self._rpc = rpc

    @classmethod
    def of(cls, settings: Settings) -> "AliyunSms":
        """The service at the gateway of the settings."""
        return cls(AliyunRpc(Endpoint.of(settings)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rpc.aclose()

    async def send(self, phones: Sequence[str], sms: Sms) -> SendResult:
        """Send one text to 1 to 100 numbers, all or none; raises `GatewayUnreachable`: it may have been sent."""
        params = json.dumps(dict(sms.params), ensure_ascii=False)
        common = {"TemplateCode": sms.template_code, "OutId": sms.out_id}
        if len(phones) == 1:
            one = {"PhoneNumbers": phones[0], "SignName": sms.sign_name, "TemplateParam": params}
            answer = await self._rpc.call("SendSms", VERSION, {**common, **one})
        else:
            many = {
                "PhoneNumberJson": json.dumps(list(phones)),
                "SignNameJson": json.dumps([sms.sign_name] * len(phones), ensure_ascii=False),
                "TemplateParamJson": json.dumps([dict(sms.params)] * len(phones), ensure_ascii=False),
            }
            answer = await self._rpc.call("SendBatchSms", VERSION, {**common, **many})
        code = str(answer.get("Code"))
        if code == "OK":
            return Sent(answer.get("BizId"))
        permanent = code in PERMANENT
        return Refused(code, permanent, affects_one_number=permanent or code == _RATE_LIMITED)

    async def find_sent(self, phone: str, out_id: str, around: datetime) -> bool:
        """Search QuerySendDetails of the day; raises `GatewayUnreachable` and `GatewayRefused`."""
        page = 1
        while True:
            query = {
                "PhoneNumber": phone,
                "SendDate": around.astimezone(LEGAL_ZONE).strftime("%Y%m%d"),
                "PageSize": str(_DETAILS_PAGE),
                "CurrentPage": str(page),
            }
            answer = await self._rpc.call("QuerySendDetails", VERSION, query)
            if answer.get("Code") != "OK":
                raise GatewayRefused(gateway_code=answer.get("Code"), reason="QuerySendDetails")
            details = answer.get("SmsSendDetailDTOs", {}).get("SmsSendDetailDTO", [])
            if any(detail.get("OutId") == out_id for detail in details):
                return True
            if len(details) < _DETAILS_PAGE:
                return False
            page += 1


def _parse_china_time(value: object) -> datetime:
    """Aliyun writes China Standard Time without an offset: `2017-01-01 00:00:00`."""
    if not isinstance(value, str):
        msg = "a time reads YYYY-MM-DD HH:MM:SS"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports a ValueError as an error of the field
    return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=LEGAL_ZONE)


def _require_storable(value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        msg = "not text that can be stored"
        raise ValueError(msg)
    return value


ChinaTime = Annotated[
    datetime,
    BeforeValidator(_parse_china_time, json_schema_input_type=str),
    Field(examples=["2026-03-02 08:00:05"]),
]
ReportText = Annotated[str, Field(max_length=500), AfterValidator(_require_storable)]


class AliyunSmsReport(BaseModel):
    """One SmsReport of the HTTP push, as documented. Fields that Aliyun may add are ignored."""

    phone_number: ReportText = Field(examples=["13800000000"])
    send_time: ChinaTime
    report_time: ChinaTime
    success: bool
    err_code: ReportText = Field(default="", examples=["DELIVERED"])
    err_msg: ReportText = Field(default="", examples=["用户接收成功"])
    sms_size: ReportText = Field(default="", examples=["1"])
    biz_id: ReportText = Field(examples=["12345"])
    out_id: ReportText = Field(default="", examples=["67890"])

    def to_report(self) -> DeliveryReport:
        """The report in the form that all providers share."""
        return DeliveryReport(**dict(self))
