"""Posting notices: one message to one or to a million recipients, in the transaction of its cause."""

from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    String,
    Uuid,
    case,
    cast,
    distinct,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from backend.core.ids import new_id
from backend.core.jobs import Priority
from backend.core.keys import KeyRing
from backend.core.tenancy import scope_of
from backend.notice.delivery import Slice, seal_params
from backend.notice.messages import Channel, Message, Recipient, SmsText, StudentRecipient
from backend.notice.settings import get_notice_settings
from backend.notice.tables import Notice, NoticeDelivery, NoticeMessage, PushSubscription
from backend.notice.tasks import enqueue_slice

SLICE_SIZE = 5000
"""Recipients per job: fifty batches of the provider, a few seconds of work."""

_RECIPIENT: dict[str, TypeEngine[Any]] = {
    "student_id": Uuid(),
    "school_id": Uuid(),
    "account_id": Uuid(),
    "org_path": String(),
}


async def post_notices(
    session: AsyncSession,
    recipients: Select[*tuple[Any, ...]],
    message: Message,
    channels: Collection[Channel],
    at: datetime,
    over: timedelta = timedelta(0),
) -> int:
    """Post `message` to every row of `recipients` by set-based SQL; returns the number of recipients.

    `recipients` has columns among student_id, school_id, account_id, org_path, phone: for students student_id
    and school_id, for staff account_id and org_path (text) at least. Each row becomes one notice. In-app always
    applies; with `sms`, one job sends each slice of `SLICE_SIZE` rows after the commit, spread evenly `over` a
    period. The session's scope must contain the recipients: a school's scope cannot address its superiors, nor a
    student's scope staff. Raises ValueError for `sms` without an SMS text.
    """
    if "sms" in channels and message.sms is None:
        msg = f"message {message.kind!r} has no SMS text"
        raise ValueError(msg)
    message_id = await _insert_message(session, message, at)
    addressed = _number_recipients(recipients)
    writes = [
        _insert_notices(addressed, message_id, at),
        _insert_in_app(addressed, message_id, message.group_id),
    ]
    if "sms" in channels:
        writes.append(_insert_sms(addressed, message_id, message.group_id))
    slices = func.array_agg(distinct(addressed.c.slice)).filter(addressed.c.phone.is_not(None))
    pushed: ColumnElement[Any] = null()
    if get_notice_settings().push_private_key is not None:
        push = _insert_push(addressed, message_id, message.group_id)
        writes.append(push)
        pushed = select(func.array_agg(distinct(push.c.slice))).scalar_subquery()
    totals = select(func.count(), slices, pushed).select_from(addressed).add_cte(*writes)
    count, by_phone, by_push = (await session.execute(totals)).one()
    await _enqueue_slices(session, message_id, "sms", by_phone if "sms" in channels else None, over)
    await _enqueue_slices(session, message_id, "web_push", by_push, over)
    return int(count)


async def _enqueue_slices(
    session: AsyncSession, message_id: UUID, channel: Channel, slices: Collection[int] | None, over: timedelta
) -> None:
    """One job for each slice, spread evenly `over` a period."""
    scope = scope_of(session)
    for position, number in enumerate(sorted(slices or ())):
        part = Slice(message_id, number, scope.org_path, scope.school_id)
        await enqueue_slice(session, part, over * position / len(slices or ()), channel)


async def post_notice(
    session: AsyncSession, recipient: Recipient, message: Message, channels: Collection[Channel], at: datetime
) -> None:
    """Post `message` to one student or one staff account; otherwise like `post_notices`."""
    columns: list[ColumnElement[Any]] = [
        cast(value, _RECIPIENT.get(name, String())).label(name) for name, value in asdict(recipient).items()
    ]
    await post_notices(session, select(*columns), message, channels, at)


async def send_sms_code(
    session: AsyncSession,
    *,
    school_id: UUID,
    student_id: UUID,
    phone: str,
    code: str,
    keys: KeyRing,
    at: datetime,
) -> UUID:
    """Send a one-time code by SMS only; returns the notice's id. Requires the student's or the school's scope.

    The code appears in no notice text, job argument or log. The delivery row holds it encrypted, under a key that
    neither staff nor the database has, until the provider accepts or finally refuses it.
    """
    message = Message(
        kind="one_time_code",
        group_id=new_id(),
        title_zh="短信验证码",
        title_en="Code by SMS",
        body_zh="一条验证码短信已发往学生登记的手机号。",
        body_en="A one-time code was sent to the student's phone number.",
        sms=SmsText("one_time_code"),
    )
    to = StudentRecipient(student_id, school_id, phone=phone)

    def seal(notice: UUID) -> bytes:
        return seal_params(keys, notice, {"code": code})

    # The student waits for it, also while a launch notifies thousands.
    return await _post_sms_only(session, to, message, at, seal, priority=Priority.HIGH)


async def post_sms(session: AsyncSession, to: StudentRecipient, message: Message, at: datetime) -> UUID:
    """Send `message` by SMS only, to the student's or a guardian's phone; returns the notice's id.

    The app does not show it. Requires the student's or the school's scope.
    """
    return await _post_sms_only(session, to, message, at, lambda _: None)


async def post_sealed_sms(
    session: AsyncSession,
    to: StudentRecipient,
    message: Message,
    params: dict[str, str],
    keys: KeyRing,
    at: datetime,
) -> UUID:
    """`post_sms` with secret parameters, which are stored encrypted and only until the SMS is sent, as a code is."""
    return await _post_sms_only(session, to, message, at, lambda notice: seal_params(keys, notice, params))


async def _post_sms_only(
    session: AsyncSession,
    to: StudentRecipient,
    message: Message,
    at: datetime,
    seal_for: Callable[[UUID], bytes | None],
    *,
    priority: int = 0,
) -> UUID:
    message_id, notice_id = await _insert_message(session, message, at), new_id()
    student = {"student_id": to.student_id, "school_id": to.school_id}
    session.add(Notice(id=notice_id, message_id=message_id, created_at=at, **student))
    await session.flush()
    session.add(
        NoticeDelivery(
            notice_id=notice_id,
            channel="sms",
            message_id=message_id,
            group_id=message.group_id,
            slice=0,
            state="queued",
            phone=to.phone,
            sealed_params=seal_for(notice_id),
            attempts=0,
            **student,
        )
    )
    await session.flush()
    part = Slice(message_id, 0, org_path="", school_id=to.school_id)
    await enqueue_slice(session, part, timedelta(0), priority=priority)
    return notice_id


async def _insert_message(session: AsyncSession, message: Message, at: datetime) -> UUID:
    row = NoticeMessage(
        id=new_id(),
        group_id=message.group_id,
        kind=message.kind,
        title_zh=message.title_zh,
        title_en=message.title_en,
        body_zh=message.body_zh,
        body_en=message.body_en,
        data=dict(message.data),
        sms_template=message.sms.template if message.sms else None,
        sms_params=dict(message.sms.params) if message.sms else {},
        created_at=at,
    )
    session.add(row)
    await session.flush()
    return row.id


def _number_recipients(recipients: Select[*tuple[Any, ...]]) -> CTE:
    """The recipients with a new notice id and a slice number each; evaluated once for all inserts."""
    source = recipients.subquery("source")

    def column(name: str) -> ColumnElement[Any]:
        kind = _RECIPIENT.get(name, String())
        return (source.c[name] if name in source.c else cast(null(), kind)).label(name)

    return select(
        func.gen_random_uuid(type_=Uuid()).label("id"),
        *(column(name) for name in (*_RECIPIENT, "phone")),
        func.div(func.row_number().over() - 1, SLICE_SIZE, type_=Integer()).cast(Integer()).label("slice"),
    ).cte("addressed")


def _insert_notices(addressed: CTE, message_id: UUID, at: datetime) -> CTE:
    who = [addressed.c[name] for name in _RECIPIENT]
    rows = select(addressed.c.id, literal(message_id, Uuid()), literal(at), *who)
    names = ["id", "message_id", "created_at", *_RECIPIENT]
    return insert(Notice).from_select(names, rows).cte("notices")


def _insert_deliveries(
    addressed: CTE,
    channel: Channel,
    message_id: UUID,
    group_id: UUID,
    extra: dict[str, ColumnElement[Any]],
    *returned: InstrumentedAttribute[Any],
) -> CTE:
    row: dict[str, ColumnElement[Any]] = {
        "notice_id": addressed.c.id,
        "channel": literal(channel),
        "message_id": literal(message_id, Uuid()),
        "group_id": literal(group_id, Uuid()),
        **{name: addressed.c[name] for name in _RECIPIENT},
        "slice": addressed.c.slice,
        "attempts": literal(0),
        **extra,
    }
    inserted = insert(NoticeDelivery).from_select(list(row), select(*row.values()))
    return (inserted.returning(*returned) if returned else inserted).cte(f"by_{channel}")


def _insert_push(addressed: CTE, message_id: UUID, group_id: UUID) -> CTE:
    """A delivery to each student whose phone has subscribed. Returns their slices."""
    subscribed = (
        select(addressed)
        .join(PushSubscription, PushSubscription.student_id == addressed.c.student_id)
        .cte("subscribed")
    )
    return _insert_deliveries(
        subscribed, "web_push", message_id, group_id, {"state": literal("queued")}, NoticeDelivery.slice
    )


def _insert_in_app(addressed: CTE, message_id: UUID, group_id: UUID) -> CTE:
    return _insert_deliveries(addressed, "in_app", message_id, group_id, {"state": literal("queued")})


def _insert_sms(addressed: CTE, message_id: UUID, group_id: UUID) -> CTE:
    """A recipient without a phone number gets a failed row, so that staff see it and can add the number."""
    phone = addressed.c.phone
    extra = {
        "phone": phone,
        "state": case((phone.is_(None), "failed"), else_="queued"),
        "last_error": case((phone.is_(None), "no_phone"), else_=null()),
    }
    return _insert_deliveries(addressed, "sms", message_id, group_id, extra)
