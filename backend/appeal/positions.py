"""Positions of the check-ins that a matter under appeal rests on, for the account that may decide the appeal."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.decisions import require_deciding_unit, require_impartial
from backend.appeal.parties import load_cited_roll_calls
from backend.appeal.queries import load_appeal
from backend.appeal.statements import require_open
from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.identity.pictures.purposes import PicturePurpose
from backend.roll_call.positions.viewing import ShownPositions, ViewPositions, view_positions
from backend.roll_call.tables import RollCall
from backend.standing.store.tables import AppealFiled, StandingEntry


async def load_appeal_checks(session: AsyncSession, actor: Actor, appeal_id: UUID) -> Sequence[RollCall]:
    """The roll calls that the matter rests on, oldest first; none for the gaokao eligibility. Raises `NotFound`."""
    appeal = await load_appeal(session, actor, appeal_id)
    ids = await _load_roll_call_ids(session, appeal.filed)
    rows = await session.scalars(
        select(RollCall).where(RollCall.id.in_(ids)).order_by(RollCall.opens_at, RollCall.id)
    )
    return rows.all()


async def view_appeal_positions(
    session: AsyncSession, actor: Actor, appeal_id: UUID, roll_call_id: UUID, at: datetime
) -> ShownPositions:
    """Record the look and return the positions of the student's check-ins in a roll call of the matter.

    Raises `NotFound` for any other roll call, `NotPermitted`, `NotTheDecidingUnit`, `AppealClosed`,
    `ConflictOfInterest`, and the errors of `view_positions`.
    """
    appeal = await load_appeal(session, actor, appeal_id)
    require_deciding_unit(actor, appeal)
    require_open(appeal)
    await require_impartial(session, actor, appeal.filed)
    if roll_call_id not in await _load_roll_call_ids(session, appeal.filed):
        raise NotFound
    command = ViewPositions(roll_call_id, appeal.filed.student_id, PicturePurpose.APPEAL_DECISION)
    return await view_positions(session, actor, command, at)


async def _load_roll_call_ids(session: AsyncSession, filed: AppealFiled) -> set[UUID]:
    if filed.target == "check":
        return {UUID(filed.target_id)}
    if filed.target != "change":
        return set()
    entry = await session.get_one(StandingEntry, UUID(filed.target_id))
    return await load_cited_roll_calls(session, [] if entry.prompt_id is None else [entry.prompt_id])
