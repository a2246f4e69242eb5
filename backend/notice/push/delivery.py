"""Sending the push messages of one slice: claim a batch, send it with no transaction open, record the results.

A phone that gets a message twice, after a crash in between, shows it once: the notice's id is the tag of the notification.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.notice.delivery import Slice
from backend.notice.push.client import PushClient, PushResult, PushTarget, Urgency
from backend.notice.tables import NoticeDelivery, NoticeMessage, PushSubscription

BATCH_SIZE = 100
URGENT_KINDS = frozenset({"roll_call_launched", "roll_call_urged", "roll_call_extended"})
"""Notices that lose their sense within the hour."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows to send now: the phone of each notice, and what all of them are told."""

    targets: Mapping[UUID, tuple[UUID, PushTarget]]
    """Notice → student and phone."""
    kind: str

    @property
    def urgency(self) -> Urgency:
        return "high" if self.kind in URGENT_KINDS else "normal"


def compose_payload(kind: str, notice_id: UUID) -> dict[str, str]:
    """All that a push message says: that there is a notice, of which kind, and its id. No text and no name."""
    return {"kind": kind, "id": str(notice_id)}


async def deliver_push_slice(app_context: AppContext, part: Slice, client: PushClient) -> int:
    """Try every queued row of the slice once; returns how many remain queued."""
    started = app_context.clock()
    while batch := await _claim_batch(app_context, part, started):
        results = await asyncio.gather(
            *(
                client.send(target, compose_payload(batch.kind, notice_id), batch.urgency)
                for notice_id, (_, target) in batch.targets.items()
            )
        )
        async with app_context.database.transaction(part.scope) as session:
            for (notice_id, (student_id, target)), result in zip(batch.targets.items(), results, strict=True):
                await _record(session, notice_id, student_id, target, result, app_context.clock())
    async with app_context.database.transaction(part.scope) as session:
        remaining = await session.scalar(
            select(func.count()).select_from(NoticeDelivery).where(part.queued_by("web_push"))
        )
    return remaining or 0


async def fail_push_slice(app_context: AppContext, part: Slice) -> int:
    """Mark all rows that are still queued as failed; returns how many."""
    error = func.coalesce(NoticeDelivery.last_error, "not_attempted")
    failed = update(NoticeDelivery).where(part.queued_by("web_push")).values(state="failed", last_error=error)
    async with app_context.database.transaction(part.scope) as session:
        ids = await session.scalars(failed.returning(NoticeDelivery.notice_id))
        return len(ids.all())


async def _claim_batch(app_context: AppContext, part: Slice, started: datetime) -> _Batch | None:
    """Claim rows that this run has not tried. Rows of phones that unsubscribed meanwhile fail at once."""
    untried = part.queued_by("web_push") & or_(
        NoticeDelivery.attempted_at.is_(None), NoticeDelivery.attempted_at < started
    )
    subscribed = select(PushSubscription.student_id)
    async with app_context.database.transaction(part.scope) as session:
        gone = update(NoticeDelivery).where(untried, NoticeDelivery.student_id.not_in(subscribed))
        await session.execute(gone.values(state="failed", last_error="not_subscribed"))
        query = (
            select(NoticeDelivery, PushSubscription)
            .join(PushSubscription, PushSubscription.student_id == NoticeDelivery.student_id)
            .where(untried)
            .limit(BATCH_SIZE)
            .with_for_update(of=NoticeDelivery)
        )
        rows = [(row, phone) for row, phone in (await session.execute(query)).all()]
        if not rows:
            return None
        kinds = select(NoticeMessage.kind).where(NoticeMessage.id == part.message_id)
        targets = {}
        for row, phone in rows:
            row.attempts, row.attempted_at = row.attempts + 1, app_context.clock()
            target = PushTarget(phone.endpoint, phone.p256dh, phone.auth)
            targets[row.notice_id] = (phone.student_id, target)
        return _Batch(targets, (await session.scalars(kinds)).one())


async def _record(
    session: AsyncSession,
    notice_id: UUID,
    student_id: UUID,
    target: PushTarget,
    result: PushResult,
    at: datetime,
) -> None:
    """Record one result. A push service that accepted proves no delivery, so there is no receipt."""
    queued = update(NoticeDelivery).where(
        NoticeDelivery.notice_id == notice_id,
        NoticeDelivery.channel == "web_push",
        NoticeDelivery.state == "queued",
    )
    if result.outcome == "sent":
        await session.execute(queued.values(state="sent", sent_at=at, last_error=None))
        return
    state = "queued" if result.outcome == "retry" else "failed"
    await session.execute(queued.values(state=state, last_error=literal(result.code)))
    if result.outcome == "gone":  # unless the app has renewed it meanwhile
        await session.execute(
            delete(PushSubscription).where(
                PushSubscription.student_id == student_id, PushSubscription.endpoint == target.endpoint
            )
        )
