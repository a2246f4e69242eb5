"""Sending the SMS of one slice: claim a batch (short transaction), send it (none), record it (short one).

A claim fixes the batch's `out_id` before anything leaves, so a crash between sending and recording leaves
rows that were attempted under a known `out_id`. The carrier promises no idempotence; the next run therefore
asks its records for that `out_id` and sends only what they do not hold, under the same `out_id`.
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
from backend.notice.aliyun import AliyunSms, GatewayRefused, GatewayUnreachable, Outcome, Sent, Sms
from backend.notice.settings import get_notice_settings
from backend.notice.tables import NoticeDelivery, NoticeMessage, NoticeReceipt

BATCH = 100
"""The most numbers that one SendBatchSms takes."""

_SEALING = "identifier"


@dataclass(frozen=True, slots=True)
class Slice:
    """Part `number` of a message's recipients, and the unit in whose view the system sends it."""

    message_id: UUID
    number: int
    org_path: str
    school_id: UUID | None

    @property
    def scope(self) -> Scope:
        """The system's view: no account acts."""
        if self.school_id is None:
            return Scope.wide(self.org_path)
        return Scope.school(self.school_id, self.org_path)

    @property
    def waiting(self) -> ColumnElement[bool]:
        """The condition of the slice's deliveries that still are to be sent."""
        return (
            (NoticeDelivery.message_id == self.message_id)
            & (NoticeDelivery.slice == self.number)
            & (NoticeDelivery.channel == "sms")
            & (NoticeDelivery.state == "queued")
        )


@dataclass(frozen=True, slots=True)
class Claimed:
    """Rows that travel together under one `out_id`; `doubtful_since` is the attempt whose end is unknown."""

    phones: dict[UUID, str]
    sms: Sms
    doubtful_since: datetime | None


def seal_params(keys: KeyRing, notice_id: UUID, params: dict[str, str]) -> bytes:
    """Encrypt an SMS's parameters, bound to its notice."""
    return keys.encrypt(_SEALING, json.dumps(params).encode(), b"sms-params:" + notice_id.bytes)


async def deliver_slice(app_context: AppContext, part: Slice, sms: AliyunSms) -> int:
    """Try every waiting row of the slice once; returns how many still wait.

    A refusal concerns its rows only. Raises `GatewayUnreachable` or `GatewayRefused` (records unreadable)
    at once: what fails for the gateway's sake fails for every row.
    """
    started = app_context.clock()
    while claimed := await _claim(app_context, part, started):
        try:
            found = await _found_sent(sms, claimed)
            await _record(app_context, part, found, Sent(None))
            missing = {notice: phone for notice, phone in claimed.phones.items() if notice not in found}
            if missing:
                outcome = await sms.send(list(dict.fromkeys(missing.values())), claimed.sms)
                await _record(app_context, part, list(missing), outcome)
        except (GatewayUnreachable, GatewayRefused) as error:
            await _note_error(app_context, part, claimed.phones, error.code)
            raise
    async with app_context.database.transaction(part.scope) as session:
        left = await session.scalar(select(func.count()).select_from(NoticeDelivery).where(part.waiting))
    return left or 0


async def give_up(app_context: AppContext, part: Slice) -> int:
    """Mark what still waits as failed, with its last error, and say so in receipts; returns how many."""
    async with app_context.database.transaction(part.scope) as session:
        ids = (await session.scalars(select(NoticeDelivery.notice_id).where(part.waiting))).all()
        await _fail(session, ids, None, app_context.clock())
    return len(ids)


async def _claim(app_context: AppContext, part: Slice, started: datetime) -> Claimed | None:
    """The next rows that this run has not tried: a batch attempted before, whole, or up to `BATCH` new rows."""
    untried = part.waiting & or_(NoticeDelivery.attempted_at.is_(None), NoticeDelivery.attempted_at < started)
    async with app_context.database.transaction(part.scope) as session:
        first = await session.scalar(select(NoticeDelivery).where(untried).limit(1))
        if first is None:
            return None
        same = NoticeDelivery.out_id == first.out_id if first.out_id else NoticeDelivery.out_id.is_(None)
        query = select(NoticeDelivery).where(untried, same).limit(BATCH).with_for_update()
        rows = (await session.scalars(query)).all()
        message = (
            await session.scalars(select(NoticeMessage).where(NoticeMessage.id == part.message_id))
        ).one()
        doubtful_since = first.attempted_at
        out_id = first.out_id or new_id().hex
        for row in rows:
            row.out_id, row.attempts, row.attempted_at = out_id, row.attempts + 1, app_context.clock()
        return Claimed(
            phones={row.notice_id: row.phone for row in rows if row.phone is not None},
            sms=_compose(app_context.keys, message, first, out_id),
            doubtful_since=doubtful_since,
        )


def _compose(keys: KeyRing, message: NoticeMessage, row: NoticeDelivery, out_id: str) -> Sms:
    assert message.sms_template is not None
    params = message.sms_params
    if row.sealed_params is not None:
        params = json.loads(keys.decrypt(_SEALING, row.sealed_params, b"sms-params:" + row.notice_id.bytes))
    settings = get_notice_settings()
    return Sms(settings.sms_sign_name, settings.template_code(message.sms_template), params, out_id)


async def _found_sent(sms: AliyunSms, claimed: Claimed) -> list[UUID]:
    """The rows of a doubtful batch that did leave, by the carrier's own records."""
    if claimed.doubtful_since is None:
        return []
    return [
        notice
        for notice, phone in claimed.phones.items()
        if await sms.find_sent(phone, claimed.sms.out_id, claimed.doubtful_since)
    ]


async def _record(app_context: AppContext, part: Slice, ids: Sequence[UUID], outcome: Outcome) -> None:
    at = app_context.clock()
    async with app_context.database.transaction(part.scope) as session:
        if isinstance(outcome, Sent):
            biz_id = func.coalesce(NoticeDelivery.provider_message_id, outcome.biz_id)
            sent = {"state": "sent", "sent_at": at, "provider_message_id": biz_id, "sealed_params": None}
            await session.execute(_queued(ids).values(sent))
        elif outcome.of_one_number and len(ids) > 1:
            # All or none: one number spoils the batch. Nothing was sent, so each starts anew on its own.
            own = func.replace(cast(NoticeDelivery.notice_id, Text), "-", "")
            alone = {"out_id": own, "attempted_at": None, "last_error": outcome.code}
            await session.execute(_queued(ids).values(alone))
        elif outcome.permanent:
            await _fail(session, ids, outcome.code, at)
        else:
            await session.execute(_queued(ids).values(last_error=outcome.code))


def _queued(ids: Iterable[UUID]) -> Update:
    """An update of these rows that spares those a carrier's report has settled meanwhile."""
    return update(NoticeDelivery).where(
        NoticeDelivery.notice_id.in_(ids), NoticeDelivery.channel == "sms", NoticeDelivery.state == "queued"
    )


async def _note_error(app_context: AppContext, part: Slice, ids: Iterable[UUID], code: str) -> None:
    async with app_context.database.transaction(part.scope) as session:
        await session.execute(_queued(ids).values(last_error=code))


async def _fail(session: AsyncSession, ids: Sequence[UUID], code: str | None, at: datetime) -> None:
    error = func.coalesce(literal(code), NoticeDelivery.last_error, "not_attempted")
    failed = _queued(ids).values(state="failed", last_error=error, sealed_params=None)
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
