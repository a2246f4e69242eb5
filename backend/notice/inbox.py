"""A person's own notices. Fetching proves delivery and opening is recorded, both at the server's time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVarTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.notice.receipts import LEGALLY_RELEVANT, Receipt, emit_received
from backend.notice.tables import Notice, NoticeDelivery, NoticeMessage, NoticeReceipt

Row = TypeVarTuple("Row")


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice with its text and when its recipient first opened it."""

    notice: Notice
    message: NoticeMessage
    opened_at: datetime | None


@dataclass(frozen=True, slots=True)
class InboxPage:
    """A page of notices. `unread`: the number of all unopened notices."""

    page: ListPage[InboxItem]
    unread: int


NoticeSort = Literal["at", "-at"]
NOTICE_SORTS = ListSorts(Notice.id, {"at": Notice.created_at}, default="-at")


async def fetch_notices(
    session: AsyncSession,
    actor: Actor,
    at: datetime,
    request: PageRequest,
) -> InboxPage:
    """Return a page of the caller's own notices, and mark them as delivered in-app at `at`."""
    opened = NoticeReceipt.__table__.alias("opened")
    query = (
        _own_in_app(actor, select(Notice, NoticeMessage, opened.c.at))
        .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
        .outerjoin(
            opened,
            (opened.c.notice_id == Notice.id) & (opened.c.channel == "in_app") & (opened.c.event == "opened"),
        )
    )
    page = await load_page(session, query, NOTICE_SORTS, request)
    items = [InboxItem(notice, message, opened_at) for notice, message, opened_at in page.rows]
    await _mark_delivered(session, actor, [(item.notice, item.message) for item in items], at)
    was_opened = exists().where(NoticeReceipt.notice_id == Notice.id, NoticeReceipt.event == "opened")
    unread = await session.scalar(_own_in_app(actor, select(func.count(Notice.id))).where(~was_opened))
    return InboxPage(page.with_rows(items), unread or 0)


async def open_notice(session: AsyncSession, actor: Actor, notice_id: UUID, at: datetime) -> datetime:
    """Record that the caller opened a notice of their own; returns when it was first opened. Raises `NotFound`."""
    own = (
        await session.execute(
            _own_in_app(actor, select(Notice, NoticeMessage))
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(Notice.id == notice_id)
        )
    ).one_or_none()
    if own is None:
        raise NotFound
    await _mark_delivered(session, actor, [(own[0], own[1])], at)
    receipt = {"notice_id": notice_id, "channel": "in_app", "event": "opened", "at": at, "recorded_at": at}
    await session.execute(
        insert(NoticeReceipt).values(**receipt, account_id=actor.account_id).on_conflict_do_nothing()
    )
    first = select(NoticeReceipt.at).where(
        NoticeReceipt.notice_id == notice_id,
        NoticeReceipt.channel == "in_app",
        NoticeReceipt.event == "opened",
    )
    return (await session.scalars(first)).one()


def _addressed_to(actor: Actor) -> ColumnElement[bool]:
    if actor.student_id is not None:
        return Notice.student_id == actor.student_id
    return (Notice.account_id == actor.account_id) & Notice.student_id.is_(None)


def _own_in_app(actor: Actor, query: Select[*Row]) -> Select[*Row]:
    """Restrict to the caller's in-app notices. One-time codes are sent by SMS only and are not shown."""
    in_app = (NoticeDelivery.notice_id == Notice.id) & (NoticeDelivery.channel == "in_app")
    return query.select_from(Notice).join(NoticeDelivery, in_app).where(_addressed_to(actor))


async def _mark_delivered(
    session: AsyncSession, actor: Actor, items: Sequence[tuple[Notice, NoticeMessage]], at: datetime
) -> None:
    undelivered = (
        NoticeDelivery.notice_id.in_([notice.id for notice, _ in items])
        & (NoticeDelivery.channel == "in_app")
        & (NoticeDelivery.state != "delivered")
    )
    receipts = select(
        NoticeDelivery.notice_id,
        NoticeDelivery.channel,
        literal("delivered"),
        literal(at),
        literal(at),
        literal(actor.account_id),
    ).where(undelivered)
    names = ["notice_id", "channel", "event", "at", "recorded_at", "account_id"]
    await session.execute(insert(NoticeReceipt).from_select(names, receipts).on_conflict_do_nothing())
    marked = update(NoticeDelivery).where(undelivered).values(state="delivered", delivered_at=at)
    newly_delivered = set(await session.scalars(marked.returning(NoticeDelivery.notice_id)))
    for notice, message in items:
        if notice.id in newly_delivered and message.kind in LEGALLY_RELEVANT:
            receipt = Receipt(message.kind, message.group_id, "in_app", at)
            await emit_received(session, receipt, notice, at)
