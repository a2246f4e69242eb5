"""A counselor who is away names a colleague to decide on leave in their place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.acting import Acting
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.identity.tables import Account
from backend.leave.errors import StandInUnfit
from backend.leave.tables import LeaveStandIn
from backend.people.tables import Counselor


@dataclass(frozen=True, slots=True)
class NameStandIn:
    """Who decides in the caller's place, from when until when (the end excluded)."""

    stand_in_id: UUID
    starts_at: datetime
    ends_at: datetime


async def name_stand_in(
    session: AsyncSession, acting: Acting, command: NameStandIn, at: datetime
) -> LeaveStandIn:
    """Name another active counselor of the own school; raises `NotPermitted`, `NotFound` and `StandInUnfit`.

    A stand-in takes over the classes that the caller looks after, not those for which the caller stands in.
    """
    if acting.kind != "counselor" or acting.counselor_id is None:
        raise NotPermitted(
            reason_zh="代审人由辅导员本人指定", reason_en="a counselor names their own stand-in"
        )
    if await session.get(Counselor, command.stand_in_id) is None:
        raise NotFound
    active = select(Account.id).where(
        Account.counselor_id == command.stand_in_id, Account.kind == "counselor", Account.status == "active"
    )
    over = command.ends_at <= max(command.starts_at, at)
    if over or command.stand_in_id == acting.counselor_id or await session.scalar(active) is None:
        raise StandInUnfit
    row = LeaveStandIn(
        id=new_id(),
        school_id=acting.school_id,
        counselor_id=acting.counselor_id,
        stand_in_id=command.stand_in_id,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        named_by=acting.account_id,
        named_at=at,
    )
    session.add(row)
    await session.flush()
    after = {
        "stand_in_id": str(row.stand_in_id),
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
    }
    act = audit.Act("stand_in_named", "counselor", str(row.counselor_id), acting.org_path, after=after)
    audit.record(session, act, at)
    return row


async def stand_ins_page(
    session: AsyncSession, acting: Acting, before: UUID | None, limit: int
) -> Sequence[LeaveStandIn]:
    """At most `limit` stand-ins, newest first, older than `before`: a registrar's school's, a counselor's own."""
    page = select(LeaveStandIn).order_by(LeaveStandIn.id.desc()).limit(limit)
    if acting.kind == "counselor":
        page = page.where(
            or_(
                LeaveStandIn.counselor_id == acting.counselor_id,
                LeaveStandIn.stand_in_id == acting.counselor_id,
            )
        )
    elif acting.kind != "registrar":
        raise NotPermitted(
            reason_zh="代审安排由学校查阅", reason_en="stand-ins are the school's own business"
        )
    if before is not None:
        page = page.where(LeaveStandIn.id < before)
    return (await session.scalars(page)).all()
