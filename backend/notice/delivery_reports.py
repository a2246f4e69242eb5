"""Delivery reports of the SMS provider (HTTP push), stored once however often they arrive."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import ARRAY, DateTime, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from backend.notice.receipts import LEGALLY_RELEVANT, Receipt, emit_received
from backend.notice.sms.port import DeliveryReport


class _FirstDelivery(BaseModel):
    """The first delivery of a notice whose receipt has consequences."""

    kind: str
    group_id: UUID
    at: datetime
    account_id: UUID | None
    school_id: UUID | None
    org_path: str | None


class _Recorded(BaseModel):
    kept: int
    received: list[_FirstDelivery]


_REPORTS = TypeAdapter(list[DeliveryReport])
_RECORD = text("SELECT definer.record_sms_reports(:reports, :at, :counted)").bindparams(
    bindparam("reports", type_=JSONB),
    bindparam("at", type_=DateTime(timezone=True)),
    bindparam("counted", type_=ARRAY(Text)),
)


def report_token(secret: str) -> str:
    """The secret path segment of the callback address, derived from the gateway's secret."""
    return hmac.new(secret.encode(), b"dianming sms-reports", hashlib.sha256).hexdigest()


async def record_sms_reports(session: AsyncSession, reports: Sequence[DeliveryReport], at: datetime) -> int:
    """Store the reports of known deliveries, in any scope; returns how many were new.

    A later report may turn a failure into a delivery, never the reverse.
    """
    payload = _REPORTS.dump_python(list(reports), mode="json")
    arguments = {"reports": payload, "at": at, "counted": sorted(LEGALLY_RELEVANT)}
    recorded = _Recorded.model_validate(await session.scalar(_RECORD, arguments))
    for first in recorded.received:
        await emit_received(session, Receipt(first.kind, first.group_id, "sms", first.at), first, at)
    return recorded.kept
