"""Deciding an appeal with reasons, and what follows at once (HN334-4.2; invariants 8 and 9; PIPL art. 24).

An upheld appeal against a result also appends the outcome to the roll call, so that its lists agree. The rules then
see the finding twice, as an upheld appeal and as a later result; both make the same place in the sequence, so it
counts once.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.errors import (
    CheckVoided,
    ConflictOfInterest,
    FindingMissing,
    FindingNotAsked,
    NotTheDecidingUnit,
)
from backend.appeal.parties import earlier_deciders, parties_to
from backend.appeal.queries import AppealView, appeal_for
from backend.appeal.statements import lock_appeal, must_be_open, payload
from backend.appeal.tables import AppealImpartiality, GaokaoFinding
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotPermitted
from backend.roll_call.outcomes import (
    Decided,
    lock_obligation,
    lock_roll_call_shared,
    outcome_of,
    write_outcome,
)
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall, RollCallStep
from backend.standing.appeal_effects import Finding, Ruling, hold_kept, record_ruling
from backend.standing.store.lock import LockedStudent
from backend.standing.store.save import save_current
from backend.standing.store.tables import AppealDecided, AppealFiled

UPHELD = "appeal_upheld"
"""The reason and, as `appeal`, the method of the outcome that an upheld appeal writes."""


@dataclass(frozen=True, slots=True)
class DecideAppeal:
    """The command. An upheld appeal against a result says what it is to be: `present` or `excused`."""

    appeal_id: UUID
    upheld: bool
    reasons: str
    finding: Finding | None = None


async def decide_appeal(
    session: AsyncSession, actor: Actor, command: DecideAppeal, at: datetime
) -> AppealView:
    """Decide an open appeal, once, by the unit it was routed to and nobody who had a hand in the matter.

    Restoration, lock, counts and prompts follow in the same transaction. Raises `NotFound`, `NotPermitted`,
    `NotTheDecidingUnit`, `AppealClosed`, `ConflictOfInterest`, `FindingMissing`, `FindingNotAsked`, `CheckVoided`.
    """
    seen = await appeal_for(session, actor, command.appeal_id)
    _must_decide(actor, seen)
    held, _ = await hold_kept(session, actor, seen.filed.student_id, at)
    await lock_appeal(session, command.appeal_id)
    appeal = await appeal_for(session, actor, command.appeal_id)
    must_be_open(appeal)
    took_part = await _impartial(session, actor, appeal.filed)
    ruling = Ruling(command.upheld, _finding(appeal.filed, command), command.reasons)
    decided = await record_ruling(session, actor, held, appeal.filed, ruling)
    session.add(
        AppealImpartiality(
            appeal_id=decided.appeal_id,
            school_id=decided.school_id,
            filed_by=decided.filed_by,
            decided_by=decided.decided_by,
            took_part=sorted(took_part),
        )
    )
    await session.flush()
    if command.upheld:
        await _uphold(session, appeal.filed, decided, held)
    _trace(session, appeal.filed, decided, held)
    await outbox.emit(session, "AppealDecided", payload(appeal, held.subject.path), held.at)
    await save_current(session, held)
    return await appeal_for(session, actor, command.appeal_id)


def _must_decide(actor: Actor, appeal: AppealView) -> None:
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="申诉由上级主管部门决定",
            reason_en="appeals are decided by the authorities above the school",
        )
    if actor.org_id != appeal.case.unit_id:
        raise NotTheDecidingUnit(unit=appeal.unit_name)


async def _impartial(session: AsyncSession, actor: Actor, filed: AppealFiled) -> frozenset[UUID]:
    """Everybody who may not decide, as of now; raises `ConflictOfInterest`."""
    parties = await parties_to(session, filed.student_id, filed.target, filed.target_id)
    barred = parties.accounts | await earlier_deciders(session, filed)
    if actor.account_id in barred | {filed.filed_by}:
        raise ConflictOfInterest
    return barred


def _finding(filed: AppealFiled, command: DecideAppeal) -> Finding:
    """What the rules take; apart from an overturned result it says nothing."""
    asked = command.upheld and filed.target == "check"
    if asked and command.finding is None:
        raise FindingMissing
    if not asked and command.finding is not None:
        raise FindingNotAsked
    return command.finding or "excused"


async def _uphold(
    session: AsyncSession, filed: AppealFiled, decided: AppealDecided, held: LockedStudent
) -> None:
    match filed.target:
        case "check":
            await _correct_outcome(session, UUID(filed.target_id), decided, held)
        case "gaokao":
            session.add(
                GaokaoFinding(
                    appeal_id=filed.id,
                    school_id=filed.school_id,
                    student_id=filed.student_id,
                    exam_year=int(filed.target_id),
                    statement=decided.reasons,
                    at=held.at,
                )
            )
            await session.flush()


async def _correct_outcome(
    session: AsyncSession, roll_call_id: UUID, decided: AppealDecided, held: LockedStudent
) -> None:
    """Append the finding to the roll call, unless that is what it says by now."""
    student_id, finding = held.subject.student_id, Outcome(decided.finding)
    roll_call = await session.get_one(RollCall, roll_call_id)
    await lock_obligation(session, roll_call_id, student_id)
    await lock_roll_call_shared(session, roll_call_id)
    voided = await session.get(RollCallStep, (roll_call_id, "voided")) is not None
    if voided and finding is Outcome.PRESENT:
        raise CheckVoided
    earlier = await outcome_of(session, roll_call_id, student_id)
    if earlier is not None and earlier.outcome == finding:
        return
    obligation = await session.get_one(Obligation, (roll_call_id, student_id))
    corrected = Decided(finding, UPHELD, "appeal", {"appeal": str(decided.appeal_id)})
    if not await write_outcome(session, roll_call, obligation, corrected, held.at, replaces=earlier):
        raise Conflict(
            reason_zh="该核验结果刚有变化，请重试", reason_en="the result changed just now; try again"
        )


def _trace(session: AsyncSession, filed: AppealFiled, decided: AppealDecided, held: LockedStudent) -> None:
    facts = {
        "upheld": decided.upheld,
        "finding": decided.finding if filed.target == "check" and decided.upheld else None,
        "target": filed.target,
        "target_id": filed.target_id,
    }
    act = audit.Act("appeal_decided", "appeal", str(filed.id), held.subject.path, after=facts)
    audit.record(session, act, held.at)
