"""Determination: a person resolves an undetermined outcome after the settlement."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.roll_call.access import access_roll_call, acts_for_launcher
from backend.roll_call.errors import ResultClosed
from backend.roll_call.outcomes import (
    OutcomeDecision,
    find_current_outcome,
    find_obligation,
    lock_obligation,
    lock_roll_call_shared,
    write_outcome,
)
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Attestation, OutcomeEntry, RollCallStep


@dataclass(frozen=True, slots=True)
class DetermineOutcome:
    """Command: present or missed, with the reason in words."""

    roll_call_id: UUID
    student_id: UUID
    outcome: Outcome
    reason: str


async def determine_outcome(
    session: AsyncSession, actor: Actor, command: DetermineOutcome, at: datetime
) -> OutcomeEntry:
    """Resolve an undetermined outcome after the settlement. Any other outcome is final.

    For a superior's roll call the launcher or a superior of it decides, never the school that is checked
    (invariant 9). For a school's own roll call its registrar decides.
    """
    roll_call = await access_roll_call(session, actor, command.roll_call_id, at)
    if not acts_for_launcher(roll_call, actor):
        raise NotPermitted(
            reason_zh="待定结果由发起单位或其上级认定",
            reason_en="only the launcher or its superior may resolve an undetermined result",
        )
    obligation = await find_obligation(session, roll_call, command.student_id)
    if obligation is None:
        raise NotFound
    if await session.get(RollCallStep, (roll_call.id, "settled")) is None:
        raise Conflict(reason_zh="请在核验截止并结算后再认定", reason_en="the roll call is not settled yet")
    await lock_obligation(session, roll_call.id, command.student_id)
    await lock_roll_call_shared(session, roll_call.id)
    earlier = await find_current_outcome(session, roll_call.id, command.student_id)
    if earlier is None or earlier.outcome != Outcome.UNDETERMINED:
        raise ResultClosed
    attestation = await session.get(Attestation, (roll_call.id, command.student_id))
    if attestation is not None and attestation.attested_by == actor.account_id:
        raise NotPermitted(
            reason_zh="本人核验的不能由本人认定", reason_en="you cannot decide on your own attestation"
        )
    decision = OutcomeDecision(
        command.outcome, "determined_by_person", "determination", {"reason": command.reason}
    )
    if not await write_outcome(session, roll_call, obligation, decision, at, replaces=earlier):
        raise ResultClosed
    return await session.get_one(OutcomeEntry, (roll_call.id, command.student_id, earlier.seq + 1))
