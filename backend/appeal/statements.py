"""What both sides say while an appeal is open, and who has read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Uuid, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.errors import AppealClosed, MessagesExhausted, NotTheDecidingUnit
from backend.appeal.policy import AppealPolicy
from backend.appeal.queries import MESSAGE, AppealView, appeal_for
from backend.appeal.rules import CaseState
from backend.appeal.tables import AppealMessage, AppealMessageRead
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachedTo, attach

Side = Literal["appellant", "unit"]


@dataclass(frozen=True, slots=True)
class Said:
    """A text with the files that go with it."""

    text: str
    attachment_ids: Sequence[UUID] = ()


async def post_message(
    session: AsyncSession, actor: Actor, appeal_id: UUID, said: Said, at: datetime
) -> AppealMessage:
    """Say something to the other side while the appeal is open.

    Raises `NotFound`, `NotPermitted` (another's appeal), `NotTheDecidingUnit`, `AppealClosed`, `MessagesExhausted`
    and what attachments raise.
    """
    await lock_appeal(session, appeal_id)
    appeal = await appeal_for(session, actor, appeal_id)
    side = side_of(actor, appeal)
    must_be_open(appeal)
    school = await session.get_one(OrgUnit, appeal.filed.school_id)
    await _within_limit(session, appeal, side, AppealPolicy.on(legal_day(appeal.filed.filed_at), school.path))
    message = await say(session, actor, appeal, side, said, at)
    facts = {"seq": message.seq, "side": side, "attachments": len(said.attachment_ids)}
    act = audit.Act("appeal_message_posted", "appeal", str(appeal_id), school.path, after=facts)
    audit.record(session, act, at)
    await outbox.emit(session, "AppealMessagePosted", payload(appeal, school.path) | {"side": side}, at)
    return message


async def say(
    session: AsyncSession, actor: Actor, appeal: AppealView, side: Side, said: Said, at: datetime
) -> AppealMessage:
    """Append a message; whoever calls holds the appeal."""
    filed = appeal.filed
    last = select(func.coalesce(func.max(AppealMessage.seq), 0)).where(AppealMessage.appeal_id == filed.id)
    message = AppealMessage(
        id=new_id(),
        appeal_id=filed.id,
        school_id=filed.school_id,
        student_id=filed.student_id,
        seq=int(await session.scalar(last) or 0) + 1,
        side=side,
        author=actor.account_id,
        text=said.text,
        at=at,
    )
    session.add(message)
    await session.flush()
    to = AttachedTo(MESSAGE, message.id, filed.school_id, filed.student_id)
    await attach(session, actor, said.attachment_ids, to, at)
    return message


async def mark_read(session: AsyncSession, actor: Actor, appeal_id: UUID, at: datetime) -> None:
    """The caller has read everything the other side has said so far. Whoever is of neither side leaves no mark."""
    appeal = await appeal_for(session, actor, appeal_id)
    side = _side(actor, appeal)
    if side is None:
        return
    theirs = select(
        AppealMessage.id,
        literal(actor.account_id, Uuid()),
        AppealMessage.school_id,
        AppealMessage.student_id,
        literal(at),
    ).where(AppealMessage.appeal_id == appeal_id, AppealMessage.side != side)
    columns = ["message_id", "account_id", "school_id", "student_id", "at"]
    put = insert(AppealMessageRead).from_select(columns, theirs)
    await session.execute(put.on_conflict_do_nothing())


def side_of(actor: Actor, appeal: AppealView) -> Side:
    """The side that the caller speaks for; raises `NotPermitted` and `NotTheDecidingUnit`."""
    side = _side(actor, appeal)
    if side is not None:
        return side
    if actor.role in {"province", "bureau"}:
        raise NotTheDecidingUnit(unit=appeal.unit_name)
    raise NotPermitted(
        reason_zh="这件申诉由另一方提出，您只能查看",
        reason_en="somebody else filed this appeal; you may read it",
    )


def must_be_appellant(actor: Actor, appeal: AppealView) -> None:
    """Raises `NotPermitted` for anybody else: a student takes no step of the school's appeal, nor the reverse."""
    if _side(actor, appeal) != "appellant":
        raise NotPermitted(
            reason_zh="只有提出申诉的一方可以办理", reason_en="only the side that appealed may do this"
        )


def must_be_open(appeal: AppealView) -> None:
    """Raises `AppealClosed`."""
    if appeal.state is not CaseState.OPEN:
        raise AppealClosed


async def lock_appeal(session: AsyncSession, appeal_id: UUID) -> None:
    """Let acts on one appeal come one after the other; after the student's turn, where both are needed."""
    key = func.hashtextextended(f"appeal/{appeal_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


def payload(appeal: AppealView, school_path: str) -> dict[str, str]:
    """What events of appeals carry: ids, the school's path, and that of the deciding unit."""
    filed = appeal.filed
    return {
        "appeal_id": str(filed.id),
        "student_id": str(filed.student_id),
        "school_id": str(filed.school_id),
        "path": school_path,
        "unit_path": appeal.case.unit_path,
    }


def _side(actor: Actor, appeal: AppealView) -> Side | None:
    filed = appeal.filed
    if actor.role == "student" and filed.appellant == "student" and actor.student_id == filed.student_id:
        return "appellant"
    if actor.role == "registrar" and filed.appellant == "school" and actor.school_id == filed.school_id:
        return "appellant"
    decides = actor.role in {"province", "bureau"} and actor.org_id == appeal.case.unit_id
    return "unit" if decides else None


async def _within_limit(session: AsyncSession, appeal: AppealView, side: Side, law: AppealPolicy) -> None:
    said = select(func.count()).where(AppealMessage.appeal_id == appeal.filed.id, AppealMessage.side == side)
    if int(await session.scalar(said) or 0) >= law.messages:
        raise MessagesExhausted(limit=law.messages)
