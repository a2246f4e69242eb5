"""Extension of a window by the time the service was unavailable (reading 8).

Each extension is a separate row; the launch is never changed.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.availability import compute_lost_time, load_heartbeats, load_overloaded_seconds
from backend.roll_call.events import RollCallExtended
from backend.roll_call.facts_for_standing import tolerated_gap
from backend.roll_call.outcomes import lock_roll_call_shared
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.rules import compute_extended_close
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.tables import RollCall, RollCallExtension, RollCallStep


async def extend_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> datetime | None:
    """Extend a window near or after its close by the measured unavailability. Returns the new close, or None.

    Running it again has no effect, and neither has running it on a settled or voided roll call.
    """
    await lock_roll_call_shared(session, roll_call_id)
    roll_call = await session.get_one(RollCall, roll_call_id, populate_existing=True)
    ended = select(func.count()).where(
        RollCallStep.roll_call_id == roll_call_id, RollCallStep.step.in_(("settled", "voided"))
    )
    if await session.scalar(ended):
        return None
    elapsed = (roll_call.opens_at, min(at, roll_call.deadline))
    lost = await _measure_lost_time(session, roll_call, elapsed)
    maximum = roll_call_policy(roll_call).duration("roll_call.extension.longest")
    until = compute_extended_close(roll_call.closes_at, roll_call.deadline, lost, at, maximum)
    if until is None:
        return None
    await _record_extension(session, roll_call, until, lost, at)
    return until


async def _measure_lost_time(
    session: AsyncSession, roll_call: RollCall, window: tuple[datetime, datetime]
) -> timedelta:
    """Time without heartbeats plus time of load shedding; each counts only beyond the tolerated gap."""
    tolerated = tolerated_gap(roll_call)
    unavailable = compute_lost_time(window, await load_heartbeats(session, window), tolerated)
    overloaded = timedelta(seconds=len(await load_overloaded_seconds(session, window)))
    return unavailable + overloaded if overloaded > tolerated else unavailable


async def _record_extension(
    session: AsyncSession, roll_call: RollCall, until: datetime, lost: timedelta, at: datetime
) -> None:
    seconds = round(lost.total_seconds())
    session.add(RollCallExtension(roll_call_id=roll_call.id, until=until, lost_seconds=seconds, at=at))
    before = {"closes_at": roll_call.deadline.isoformat()}
    after = {"closes_at": until.isoformat(), "lost_seconds": seconds}
    act = audit.Act(
        "roll_call.extend", "roll_call", str(roll_call.id), roll_call.launcher_path, before, after
    )
    audit.record(session, act, at)
    event = RollCallExtended(roll_call_id=roll_call.id, path=roll_call.launcher_path, until=until)
    await outbox.emit(session, event, at)
    await session.flush()


async def close_roll_call(session: AsyncSession, roll_call_id: UUID, at: datetime) -> None:
    """Settle a roll call whose window has closed, or extend the window if the service was unavailable at the close."""
    if await extend_roll_call(session, roll_call_id, at) is None:
        await settle_roll_call(session, roll_call_id, at)
