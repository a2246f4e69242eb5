"""The carrier's delivery reports (SmsReport by HTTP push), kept once however often they come."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter
from sqlalchemy import ARRAY, DateTime, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import LEGAL_ZONE
from backend.notice.receipts import COUNTED, Received, tell_received


def _china_time(value: object) -> datetime:
    """The carrier writes China's time without saying so: `2017-01-01 00:00:00`."""
    if not isinstance(value, str):
        msg = "a time reads YYYY-MM-DD HH:MM:SS"
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns a ValueError into a refusal of the field
    return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=LEGAL_ZONE)


def _storable(value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        msg = "not text that can be stored"
        raise ValueError(msg)
    return value


ChinaTime = Annotated[
    datetime,
    BeforeValidator(_china_time, json_schema_input_type=str),
    Field(examples=["2026-03-02 08:00:05"]),
]
Reported = Annotated[str, Field(max_length=500), AfterValidator(_storable)]


class SmsReport(BaseModel):
    """One report as documented; fields that the carrier may add are ignored."""

    phone_number: Reported = Field(examples=["13800000000"])
    send_time: ChinaTime
    report_time: ChinaTime
    success: bool
    err_code: Reported = Field(default="", examples=["DELIVERED"])
    err_msg: Reported = Field(default="", examples=["用户接收成功"])
    sms_size: Reported = Field(default="", examples=["1"])
    biz_id: Reported = Field(examples=["12345"])
    out_id: Reported = Field(default="", examples=["67890"])


class _Receipt(BaseModel):
    """The first delivery of a notice that counts."""

    kind: str
    group_id: UUID
    at: datetime
    account_id: UUID | None
    school_id: UUID | None
    org_path: str | None


class _Noted(BaseModel):
    kept: int
    received: list[_Receipt]


_REPORTS = TypeAdapter(list[SmsReport])
_NOTE = text("SELECT definer.record_sms_reports(:reports, :at, :counted)").bindparams(
    bindparam("reports", type_=JSONB),
    bindparam("at", type_=DateTime(timezone=True)),
    bindparam("counted", type_=ARRAY(Text)),
)


async def record_sms_reports(session: AsyncSession, reports: list[SmsReport], at: datetime) -> int:
    """Keep the reports whose deliveries we know (any scope will do); returns how many told something new.

    A later report may turn a failure into a delivery, never the reverse; repeated reports change nothing.
    """
    payload = _REPORTS.dump_python(reports, mode="json")
    asked = {"reports": payload, "at": at, "counted": sorted(COUNTED)}
    noted = _Noted.model_validate(await session.scalar(_NOTE, asked))
    for first in noted.received:
        await tell_received(session, Received(first.kind, first.group_id, "sms", first.at), first, at)
    return noted.kept
