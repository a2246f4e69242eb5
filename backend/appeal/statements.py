"""Messages between the two sides of an open appeal, and their read marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Uuid, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.errors import AppealClosed, MessagesExhausted, NotTheDecidingUnit
from backend.appeal.events import AppealMessagePosted
from backend.appeal.policy import AppealPolicy
from backend.appeal.queries import MESSAGE, AppealView, load_appeal
from backend.appeal.rules import AppealState
from backend.appeal.tables import AppealMessage, AppealMessageRead
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachmentSubject, attach_files

Side = Literal["appellant", "unit"]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """The text and files of a message to post."""

    text: str
    attachment_ids: Sequence[UUID] = ()


async def post_message(
    session: AsyncSession, actor: Actor, appeal_id: UUID, content: NewMessage, at: datetime
) -> AppealMessage:
    """Post a message to the other side of an open appeal.

    Raises `NotFound`, `NotPermitted` (not a side of this appeal), `NotTheDecidingUnit`, `AppealClosed`,
    `MessagesExhausted` and the errors of `attach_files`.
    """
    await lock_appeal(session, appeal_id)
    appeal = await load_appeal(session, actor, appeal_id)
    side = require_side(actor, appeal)
    require_open(appeal)
    school = await session.get_one(OrgUnit, appeal.filed.school_id)
    await _require_within_limit(
        session, appeal, side, AppealPolicy.on(legal_day(appeal.filed.filed_at), school.path)
    )
    message = await append_message(session, actor, appeal, side, content, at)
    after = {"seq": message.seq, "side": side, "attachments": len(content.attachment_ids)}
    act = audit.Act("appeal_message_posted", "appeal", str(appeal_id), school.path, after=after)
    audit.record(session, act, at)
    await outbox.emit(session, AppealMessagePosted(**event_fields(appeal, school.path), side=side), at)
    return message


async def append_message(
    session: AsyncSession, actor: Actor, appeal: AppealView, side: Side, content: NewMessage, at: datetime
) -> AppealMessage:
    """Append a message. The caller must hold the lock of the appeal."""
    filed = appeal.filed
    last_seq = select(func.coalesce(func.max(AppealMessage.seq), 0)).where(
        AppealMessage.appeal_id == filed.id
    )
    message = AppealMessage(
        id=new_id(),
        appeal_id=filed.id,
        school_id=filed.school_id,
        student_id=filed.student_id,
        seq=int(await session.scalar(last_seq) or 0) + 1,
        side=side,
        author=actor.account_id,
        text=content.text,
        at=at,
    )
    session.add(message)
    await session.flush()
    to = AttachmentSubject(MESSAGE, message.id, filed.school_id, filed.student_id)
    await attach_files(session, actor, content.attachment_ids, to, at)
    return message


async def mark_messages_read(session: AsyncSession, actor: Actor, appeal_id: UUID, at: datetime) -> None:
    """Mark all messages of the other side as read. Accounts of neither side leave no mark."""
    appeal = await load_appeal(session, actor, appeal_id)
    side = find_side(actor, appeal)
    if side is None:
        return
    rows = select(
        AppealMessage.id,
        literal(actor.account_id, Uuid()),
        AppealMessage.school_id,
        AppealMessage.student_id,
        literal(at),
    ).where(AppealMessage.appeal_id == appeal_id, AppealMessage.side != side)
    columns = ["message_id", "account_id", "school_id", "student_id", "at"]
    statement = insert(AppealMessageRead).from_select(columns, rows)
    await session.execute(statement.on_conflict_do_nothing())


def require_side(actor: Actor, appeal: AppealView) -> Side:
    """The actor's side of the appeal; raises `NotPermitted` or `NotTheDecidingUnit` if there is none."""
    side = find_side(actor, appeal)
    if side is not None:
        return side
    if actor.role in {"province", "bureau"}:
        raise NotTheDecidingUnit(unit=appeal.unit_name)
    raise NotPermitted(
        reason_zh="这件申诉由另一方提出，您只能查看",
        reason_en="the other party filed this appeal; you can only read it",
    )


def require_appellant(actor: Actor, appeal: AppealView) -> None:
    """Raises `NotPermitted` unless the actor's side filed the appeal. Student and school act only on their own appeals."""
    if find_side(actor, appeal) != "appellant":
        raise NotPermitted(reason_zh="只有提出申诉的一方可以办理", reason_en="only the appellant may do this")


def require_open(appeal: AppealView) -> None:
    """Raises `AppealClosed` if the appeal is decided or withdrawn."""
    if appeal.state is not AppealState.OPEN:
        raise AppealClosed


async def lock_appeal(session: AsyncSession, appeal_id: UUID) -> None:
    """Serialise acts on one appeal until the commit. If both locks are needed, lock the student first."""
    key = func.hashtextextended(f"appeal/{appeal_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


def event_fields(appeal: AppealView, school_path: str) -> dict[str, Any]:
    """The fields of appeal events: ids, the school's path and the deciding unit's path."""
    filed = appeal.filed
    return {
        "appeal_id": filed.id,
        "student_id": filed.student_id,
        "school_id": filed.school_id,
        "path": school_path,
        "unit_path": appeal.case.unit_path,
    }


def find_side(actor: Actor, appeal: AppealView) -> Side | None:
    filed = appeal.filed
    if actor.role == "student" and filed.appellant == "student" and actor.student_id == filed.student_id:
        return "appellant"
    if actor.role == "registrar" and filed.appellant == "school" and actor.school_id == filed.school_id:
        return "appellant"
    is_deciding_unit = actor.role in {"province", "bureau"} and actor.org_id == appeal.case.unit_id
    return "unit" if is_deciding_unit else None


async def _require_within_limit(
    session: AsyncSession, appeal: AppealView, side: Side, law: AppealPolicy
) -> None:
    count = select(func.count()).where(AppealMessage.appeal_id == appeal.filed.id, AppealMessage.side == side)
    if int(await session.scalar(count) or 0) >= law.messages:
        raise MessagesExhausted(limit=law.messages)
