"""Sending the SMS of one slice: claim a batch, send it with no transaction open, record the result.

A claim stores the batch's `out_id` before anything is sent, so a crash between sending and recording leaves rows
that were attempted under a known `out_id`. Providers promise no idempotence. The next run therefore searches the
provider's records for that `out_id` and sends only the missing messages, under the same `out_id`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, cast, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import Update
from sqlalchemy.sql.elements import ColumnElement

from backend.core.app_context import AppContext
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.tenancy import Scope
from backend.notice.errors import GatewayRefused, GatewayUnreachable
from backend.notice.settings import get_notice_settings
from backend.notice.sms.port import SendResult, Sent, Sms, SmsProvider
from backend.notice.tables import NoticeDelivery, NoticeMessage, NoticeReceipt

_ENCRYPTION_PURPOSE = "identifier"


@dataclass(frozen=True, slots=True)
class Slice:
    """Part `number` of a message's recipients, with the scope in which the system sends it."""

    message_id: UUID
    number: int
    org_path: str
    school_id: UUID | None

    @property
    def scope(self) -> Scope:
        """The scope of the sending job; no account acts."""
        if self.school_id is None:
            return Scope.wide(self.org_path)
        return Scope.school(self.school_id, self.org_path)

    @property
    def queued(self) -> ColumnElement[bool]:
        """Selects the SMS of the slice that are still to be sent."""
        return self.queued_by("sms")

    def queued_by(self, channel: str) -> ColumnElement[bool]:
        """Selects the deliveries of the slice that are still to be sent through a channel."""
        return (
            (NoticeDelivery.message_id == self.message_id)
            & (NoticeDelivery.slice == self.number)
            & (NoticeDelivery.channel == channel)
            & (NoticeDelivery.state == "queued")
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows sent together under one `out_id`. `attempted_at` is set if an earlier attempt has an unknown result."""

    phones: dict[UUID, str]
    sms: Sms
    attempted_at: datetime | None


def seal_params(keys: KeyRing, notice_id: UUID, params: dict[str, str]) -> bytes:
    """Encrypt an SMS's parameters, bound to its notice."""
    return keys.encrypt(_ENCRYPTION_PURPOSE, json.dumps(params).encode(), b"sms-params:" + notice_id.bytes)


async def deliver_slice(app_context: AppContext, part: Slice, provider: SmsProvider) -> int:
    """Try every queued row of the slice once; returns how many remain queued.

    A refusal affects its rows only. `GatewayUnreachable` and `GatewayRefused` (records unreadable) are raised at
    once, because they would fail every other row too.
    """
    started = app_context.clock()
    while batch := await _claim_batch(app_context, part, started, provider.max_numbers):
        try:
            already_sent = await _find_already_sent(provider, batch)
            await _record_result(app_context, part, already_sent, Sent(None))
            missing = {notice: phone for notice, phone in batch.phones.items() if notice not in already_sent}
            if missing:
                result = await provider.send(list(dict.fromkeys(missing.values())), batch.sms)
                await _record_result(app_context, part, list(missing), result)
        except (GatewayUnreachable, GatewayRefused) as error:
            await _record_error(app_context, part, batch.phones, error.code)
            raise
    async with app_context.database.transaction(part.scope) as session:
        remaining = await session.scalar(select(func.count()).select_from(NoticeDelivery).where(part.queued))
    return remaining or 0


async def fail_slice(app_context: AppContext, part: Slice) -> int:
    """Mark all queued rows as failed, with their last error and a receipt each; returns how many."""
    async with app_context.database.transaction(part.scope) as session:
        ids = (await session.scalars(select(NoticeDelivery.notice_id).where(part.queued))).all()
        await _fail_rows(session, ids, None, app_context.clock())
    return len(ids)


async def _claim_batch(
    app_context: AppContext, part: Slice, started: datetime, max_numbers: int
) -> Batch | None:
    """Claim rows this run has not tried: a whole batch of an earlier attempt, or up to `max_numbers` new rows."""
    untried = part.queued & or_(NoticeDelivery.attempted_at.is_(None), NoticeDelivery.attempted_at < started)
    async with app_context.database.transaction(part.scope) as session:
        first = await session.scalar(select(NoticeDelivery).where(untried).limit(1))
        if first is None:
            return None
        same = NoticeDelivery.out_id == first.out_id if first.out_id else NoticeDelivery.out_id.is_(None)
        query = select(NoticeDelivery).where(untried, same).limit(max_numbers).with_for_update()
        rows = (await session.scalars(query)).all()
        message = (
            await session.scalars(select(NoticeMessage).where(NoticeMessage.id == part.message_id))
        ).one()
        attempted_at = first.attempted_at
        out_id = first.out_id or new_id().hex
        for row in rows:
            row.out_id, row.attempts, row.attempted_at = out_id, row.attempts + 1, app_context.clock()
        return Batch(
            phones={row.notice_id: row.phone for row in rows if row.phone is not None},
            sms=_compose_sms(app_context.keys, message, first, out_id),
            attempted_at=attempted_at,
        )


def _compose_sms(keys: KeyRing, message: NoticeMessage, row: NoticeDelivery, out_id: str) -> Sms:
    assert message.sms_template is not None
    params = message.sms_params
    if row.sealed_params is not None:
        params = json.loads(
            keys.decrypt(_ENCRYPTION_PURPOSE, row.sealed_params, b"sms-params:" + row.notice_id.bytes)
        )
    settings = get_notice_settings()
    return Sms(settings.sms_sign_name, settings.template_code(message.sms_template), params, out_id)


async def _find_already_sent(provider: SmsProvider, batch: Batch) -> list[UUID]:
    """Rows of an attempt with an unknown result that were sent, by the provider's own records."""
    if batch.attempted_at is None:
        return []
    return [
        notice
        for notice, phone in batch.phones.items()
        if await provider.find_sent(phone, batch.sms.out_id, batch.attempted_at)
    ]


async def _record_result(
    app_context: AppContext, part: Slice, ids: Sequence[UUID], result: SendResult
) -> None:
    at = app_context.clock()
    async with app_context.database.transaction(part.scope) as session:
        if isinstance(result, Sent):
            biz_id = func.coalesce(NoticeDelivery.provider_message_id, result.provider_message_id)
            sent = {"state": "sent", "sent_at": at, "provider_message_id": biz_id, "sealed_params": None}
            await session.execute(_update_queued(ids).values(sent))
        elif result.affects_one_number and len(ids) > 1:
            # A batch is sent whole or not at all, so one bad number blocks it. Send each number on its own.
            own_out_id = func.replace(cast(NoticeDelivery.notice_id, Text), "-", "")
            separate = {"out_id": own_out_id, "attempted_at": None, "last_error": result.code}
            await session.execute(_update_queued(ids).values(separate))
        elif result.permanent:
            await _fail_rows(session, ids, result.code, at)
        else:
            await session.execute(_update_queued(ids).values(last_error=result.code))


def _update_queued(ids: Iterable[UUID]) -> Update:
    """An update of these rows, except those that a delivery report has settled in the meantime."""
    return update(NoticeDelivery).where(
        NoticeDelivery.notice_id.in_(ids), NoticeDelivery.channel == "sms", NoticeDelivery.state == "queued"
    )


async def _record_error(app_context: AppContext, part: Slice, ids: Iterable[UUID], code: str) -> None:
    async with app_context.database.transaction(part.scope) as session:
        await session.execute(_update_queued(ids).values(last_error=code))


async def _fail_rows(session: AsyncSession, ids: Sequence[UUID], code: str | None, at: datetime) -> None:
    error = func.coalesce(literal(code), NoticeDelivery.last_error, "not_attempted")
    failed = _update_queued(ids).values(state="failed", last_error=error, sealed_params=None)
    rows = await session.execute(failed.returning(NoticeDelivery.notice_id, NoticeDelivery.last_error))
    receipts = [
        {
            "notice_id": notice_id,
            "channel": "sms",
            "event": "failed",
            "at": at,
            "recorded_at": at,
            "report": {"err_code": last_error},
        }
        for notice_id, last_error in rows
    ]
    if receipts:
        await session.execute(insert(NoticeReceipt).values(receipts).on_conflict_do_nothing())
