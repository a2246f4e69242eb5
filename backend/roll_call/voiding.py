"""Voiding: the launcher withdraws a roll call with a reason (HN334-3.4)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotPermitted
from backend.roll_call.access import access_roll_call, acts_for_launcher
from backend.roll_call.events import RollCallVoided
from backend.roll_call.outcomes import (
    OutcomeDecision,
    fill_open_outcomes,
    lock_roll_call_exclusive,
    select_current_outcomes,
    write_outcome,
)
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall, RollCallStep


async def void_roll_call(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, reason: str, at: datetime
) -> RollCall:
    """Void a roll call. Students who were present stay present; every other outcome becomes excused.

    Only the launcher or a superior of it may void; a school may void its own roll calls.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    if not acts_for_launcher(roll_call, actor):
        raise NotPermitted(
            reason_zh="只有发起单位或其上级可以作废",
            reason_en="only the launcher or its superior may void a roll call",
        )
    await lock_roll_call_exclusive(session, roll_call_id)
    written = await session.scalar(
        insert(RollCallStep)
        .values(
            roll_call_id=roll_call_id,
            step="voided",
            acting_account=actor.account_id,
            reason=reason,
            figures=None,
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(RollCallStep.step)
    )
    if written is None:
        raise Conflict(reason_zh="此次核验已经作废", reason_en="this roll call is voided already")
    await _excuse_all(session, roll_call, reason, at)
    act = audit.Act(
        "roll_call.void", "roll_call", str(roll_call_id), roll_call.launcher_path, after={"reason": reason}
    )
    audit.record(session, act, at)
    event = RollCallVoided(roll_call_id=roll_call_id, path=roll_call.launcher_path)
    await outbox.emit(session, event, at)
    return roll_call


async def _excuse_all(session: AsyncSession, roll_call: RollCall, reason: str, at: datetime) -> None:
    """Write first entries in bulk where there was no outcome, and a compensating entry for each outcome replaced."""
    decision = OutcomeDecision(Outcome.EXCUSED, "voided", "voiding", {"reason": reason})
    replaced = await session.scalars(
        select_current_outcomes().where(
            OutcomeEntry.term_code == roll_call.term_code,
            OutcomeEntry.roll_call_id == roll_call.id,
            OutcomeEntry.outcome.not_in([Outcome.PRESENT.value, Outcome.EXCUSED.value]),
        )
    )
    earlier = replaced.all()  # read before the bulk insert adds entries
    await fill_open_outcomes(session, roll_call, decision, at)
    for entry in earlier:
        obligation = await session.get_one(Obligation, (roll_call.id, entry.student_id))
        await write_outcome(session, roll_call, obligation, decision, at, replaces=entry)
