"""Stand-ins: a counselor names a colleague who decides on leave in their place."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.identity.tables import Account
from backend.leave.errors import StandInOver, StandInUnfit
from backend.leave.tables import LeaveStandIn, LeaveStandInEnded
from backend.people.tables import Counselor


@dataclass(frozen=True, slots=True)
class NameStandIn:
    """Name a stand-in for the caller from `starts_at` to `ends_at` (exclusive)."""

    stand_in_id: UUID
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in arrangement and its early end, if any."""

    row: LeaveStandIn
    ended: LeaveStandInEnded | None


async def name_stand_in(session: AsyncSession, actor: Actor, command: NameStandIn, at: datetime) -> StandIn:
    """Name another active counselor of the school; raises `NotPermitted`, `NotFound` and `StandInUnfit`.

    The stand-in takes over the caller's own classes, not those for which the caller stands in.
    """
    if actor.role != "counselor" or actor.counselor_id is None:
        raise NotPermitted(
            reason_zh="代审人由辅导员本人指定", reason_en="a counselor names their own stand-in"
        )
    if await session.get(Counselor, command.stand_in_id) is None:
        raise NotFound
    active = select(Account.id).where(
        Account.counselor_id == command.stand_in_id, Account.kind == "counselor", Account.status == "active"
    )
    is_past = command.ends_at <= max(command.starts_at, at)
    if is_past or command.stand_in_id == actor.counselor_id or await session.scalar(active) is None:
        raise StandInUnfit
    row = LeaveStandIn(
        id=new_id(),
        school_id=actor.school_id,
        counselor_id=actor.counselor_id,
        stand_in_id=command.stand_in_id,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        named_by=actor.account_id,
        named_at=at,
    )
    session.add(row)
    await session.flush()
    after = {
        "stand_in_id": str(row.stand_in_id),
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
    }
    act = audit.Act("stand_in_named", "counselor", str(row.counselor_id), actor.org_path, after=after)
    audit.record(session, act, at)
    return StandIn(row, None)


async def end_stand_in(session: AsyncSession, actor: Actor, arrangement_id: UUID, at: datetime) -> StandIn:
    """End a stand-in early. Decisions already made stay valid.

    The counselor who named it and registrars may end it. Raises `NotFound`, `NotPermitted` for the stand-in, and
    `StandInOver`.
    """
    row_pair = (
        await session.execute(_select_visible_stand_ins(actor).where(LeaveStandIn.id == arrangement_id))
    ).one_or_none()
    if row_pair is None:
        raise NotFound
    row, ended = row_pair
    if actor.role == "counselor" and row.counselor_id != actor.counselor_id:
        raise NotPermitted(
            reason_zh="代审由指定人或学籍管理员提前结束",
            reason_en="only the counselor who named the stand-in or a registrar may end it",
        )
    if ended is not None or row.ends_at <= at:
        raise StandInOver
    ended = LeaveStandInEnded(
        arrangement_id=row.id, school_id=row.school_id, ended_by=actor.account_id, ended_at=at
    )
    try:
        async with session.begin_nested():
            session.add(ended)
    except IntegrityError as already_ended:
        raise StandInOver from already_ended
    act = audit.Act("stand_in_ended", "counselor", str(row.counselor_id), actor.org_path)
    audit.record(session, act, at)
    return StandIn(row, ended)


StandInSort = Literal["named_at", "-named_at", "starts_at", "-starts_at"]
STAND_IN_SORTS = ListSorts(
    LeaveStandIn.id, {"named_at": LeaveStandIn.id, "starts_at": LeaveStandIn.starts_at}, default="-named_at"
)
"""An id begins with the time."""


async def load_stand_ins_page(session: AsyncSession, actor: Actor, request: PageRequest) -> ListPage[StandIn]:
    """A page of the stand-ins: all for registrars, else the actor's own."""
    found = await load_page(session, _select_visible_stand_ins(actor), STAND_IN_SORTS, request)
    return found.with_rows([StandIn(*row) for row in found.rows])


def _select_visible_stand_ins(actor: Actor) -> Select[*tuple[Any, ...]]:
    page = select(LeaveStandIn, LeaveStandInEnded).outerjoin(
        LeaveStandInEnded, LeaveStandInEnded.arrangement_id == LeaveStandIn.id
    )
    if actor.role == "counselor":
        page = page.where(
            or_(
                LeaveStandIn.counselor_id == actor.counselor_id,
                LeaveStandIn.stand_in_id == actor.counselor_id,
            )
        )
    elif actor.role != "registrar":
        raise NotPermitted(reason_zh="代审安排由学校查阅", reason_en="only the school sees its stand-ins")
    return page
