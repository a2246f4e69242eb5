"""The window makes up for what the service was away for (reading 8): an extension is a row, the launch stays as it was."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.availability import heartbeats_in, lost_time, overloaded_seconds
from backend.roll_call.facts_for_standing import tolerated_gap
from backend.roll_call.outcomes import lock_roll_call_shared
from backend.roll_call.policy import law_of
from backend.roll_call.rules import extended_close
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.tables import RollCall, RollCallExtension, RollCallStep


async def extend_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> datetime | None:
    """Lengthen a window near or after its close by the measured unavailability; the new close, if there is one.

    Running it again changes nothing, nor does it on a roll call that is settled or voided.
    """
    await lock_roll_call_shared(session, roll_call_id)
    roll_call = await session.get_one(RollCall, roll_call_id, populate_existing=True)
    ended = select(func.count()).where(
        RollCallStep.roll_call_id == roll_call_id, RollCallStep.step.in_(("settled", "voided"))
    )
    if await session.scalar(ended):
        return None
    reached = (roll_call.opens_at, min(at, roll_call.deadline))
    lost = await _lost(session, roll_call, reached)
    longest = law_of(roll_call).duration("roll_call.extension.longest")
    until = extended_close(roll_call.closes_at, roll_call.deadline, lost, at, longest)
    if until is None:
        return None
    seconds = round(lost.total_seconds())
    session.add(RollCallExtension(roll_call_id=roll_call.id, until=until, lost_seconds=seconds, at=at))
    before = {"closes_at": roll_call.deadline.isoformat()}
    after = {"closes_at": until.isoformat(), "lost_seconds": seconds}
    act = audit.Act(
        "roll_call.extend", "roll_call", str(roll_call.id), roll_call.launcher_path, before, after
    )
    audit.record(session, act, at)
    payload = {
        "roll_call_id": str(roll_call.id),
        "path": roll_call.launcher_path,
        "until": until.isoformat(),
    }
    await outbox.emit(session, "RollCallExtended", payload, at)
    await session.flush()
    return until


async def _lost(session: AsyncSession, roll_call: RollCall, reached: tuple[datetime, datetime]) -> timedelta:
    """What the service was away for, and the seconds in which it turned students away, each beyond what is tolerated."""
    tolerated = tolerated_gap(roll_call)
    away = lost_time(reached, await heartbeats_in(session, reached), tolerated)
    strained = timedelta(seconds=len(await overloaded_seconds(session, reached)))
    return away + strained if strained > tolerated else away


async def close_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> None:
    """Settle a roll call whose window has closed, unless the service was away at the close: then it opens again."""
    if await extend_roll_call(session, roll_call_id, at) is None:
        await settle_roll_call(session, roll_call_id, at)
