"""Decide an appeal with reasons and apply the effects at once (HN334-4.2; invariants 8 and 9; PIPL art. 24).

An upheld appeal against a result also appends the new outcome to the roll call, so that the roll call's lists agree. The
rules then see the finding twice, as an upheld appeal and as a later result; both set the same status of the same roll
call, so it counts once.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal import events
from backend.appeal.errors import (
    CheckVoided,
    ConflictOfInterest,
    FindingMissing,
    FindingNotAsked,
    NotTheDecidingUnit,
)
from backend.appeal.parties import load_earlier_deciders, load_parties
from backend.appeal.queries import AppealView, load_appeal
from backend.appeal.statements import event_fields, lock_appeal, require_open
from backend.appeal.tables import AppealImpartiality, GaokaoFinding
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotPermitted
from backend.identity.tables import Account
from backend.roll_call.outcomes import (
    OutcomeDecision,
    find_current_outcome,
    lock_obligation,
    lock_roll_call_shared,
    write_outcome,
)
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, RollCall, RollCallStep
from backend.standing.appeal_effects import AppealFinding, Ruling, lock_for_appeal, record_ruling
from backend.standing.store.lock import LockedStudent
from backend.standing.store.save import recompute_locked
from backend.standing.store.tables import AppealDecided, AppealFiled

UPHELD = "appeal_upheld"
"""The reason of an outcome that an upheld appeal writes; its method is `appeal`."""


@dataclass(frozen=True, slots=True)
class DecideAppeal:
    """The decision. An upheld appeal against a result has a finding, the new result: `present` or `excused`."""

    appeal_id: UUID
    upheld: bool
    reasons: str
    finding: AppealFinding | None = None


async def decide_appeal(
    session: AsyncSession, actor: Actor, command: DecideAppeal, at: datetime
) -> AppealView:
    """Decide an open appeal, once, as an account of the deciding unit that took no part in the matter.

    Restoration, lock, counts and prompts are updated in the same transaction. Raises `NotFound`, `NotPermitted`,
    `NotTheDecidingUnit`, `AppealClosed`, `ConflictOfInterest`, `FindingMissing`, `FindingNotAsked`, `CheckVoided`.
    """
    unlocked_appeal = await load_appeal(session, actor, command.appeal_id)
    require_deciding_unit(actor, unlocked_appeal)
    locked, _ = await lock_for_appeal(session, actor, unlocked_appeal.filed.student_id, at)
    await lock_appeal(session, command.appeal_id)
    appeal = await load_appeal(session, actor, command.appeal_id)
    require_open(appeal)
    took_part, sole_account = await require_impartial(session, actor, appeal.filed)
    ruling = Ruling(command.upheld, _validate_finding(appeal.filed, command), command.reasons)
    decided = await record_ruling(session, actor, locked, appeal.filed, ruling)
    session.add(
        AppealImpartiality(
            appeal_id=decided.appeal_id,
            school_id=decided.school_id,
            filed_by=decided.filed_by,
            decided_by=decided.decided_by,
            took_part=sorted(took_part),
            sole_account=sole_account,
        )
    )
    await session.flush()
    if command.upheld:
        await _apply_upheld_appeal(session, appeal.filed, decided, locked)
    _audit(session, appeal.filed, decided, locked, sole_account=sole_account)
    await outbox.emit(session, events.AppealDecided(**event_fields(appeal, locked.subject.path)), locked.at)
    await recompute_locked(session, locked)
    return await load_appeal(session, actor, command.appeal_id)


def require_deciding_unit(actor: Actor, appeal: AppealView) -> None:
    """Raises `NotPermitted` for a school, and `NotTheDecidingUnit`."""
    if actor.role not in {"province", "bureau"}:
        raise NotPermitted(
            reason_zh="申诉由上级主管部门决定",
            reason_en="only the authorities above the school decide appeals",
        )
    if actor.org_id != appeal.case.unit_id:
        raise NotTheDecidingUnit(unit=appeal.unit_name)


async def require_impartial(
    session: AsyncSession, actor: Actor, filed: AppealFiled
) -> tuple[frozenset[UUID], bool]:
    """The accounts that may not decide as of now, and whether the only account of the province decides all the same.

    The province is the last level. If it has a single account, an appeal would otherwise stay open for ever; the
    decision then records that no impartial account existed. Raises `ConflictOfInterest` in every other case.
    """
    parties = await load_parties(session, filed.student_id, filed.target, filed.target_id)
    excluded = parties.accounts | await load_earlier_deciders(session, filed)
    if actor.account_id not in excluded | {filed.filed_by}:
        return excluded, False
    if filed.filed_by != actor.account_id and await _is_sole_account_of_province(session, actor):
        return excluded, True
    raise ConflictOfInterest


async def _is_sole_account_of_province(session: AsyncSession, actor: Actor) -> bool:
    if actor.role != "province":
        return False
    accounts = await session.scalars(
        select(Account.id).where(
            Account.org_id == actor.org_id, Account.kind == "province", Account.status == "active"
        )
    )
    return list(accounts) == [actor.account_id]


def _validate_finding(filed: AppealFiled, command: DecideAppeal) -> AppealFinding:
    """The finding, which only an upheld appeal against a result has. Otherwise it is stored as `excused` without effect."""
    required = command.upheld and filed.target == "check"
    if required and command.finding is None:
        raise FindingMissing
    if not required and command.finding is not None:
        raise FindingNotAsked
    return command.finding or "excused"


async def _apply_upheld_appeal(
    session: AsyncSession, filed: AppealFiled, decided: AppealDecided, locked: LockedStudent
) -> None:
    match filed.target:
        case "check":
            await _correct_outcome(session, UUID(filed.target_id), decided, locked)
        case "gaokao":
            session.add(
                GaokaoFinding(
                    appeal_id=filed.id,
                    school_id=filed.school_id,
                    student_id=filed.student_id,
                    exam_year=int(filed.target_id),
                    statement=decided.reasons,
                    at=locked.at,
                )
            )
            await session.flush()


async def _correct_outcome(
    session: AsyncSession, roll_call_id: UUID, decided: AppealDecided, locked: LockedStudent
) -> None:
    """Append the finding as an outcome of the roll call, unless the current outcome already says so."""
    student_id, finding = locked.subject.student_id, Outcome(decided.finding)
    roll_call = await session.get_one(RollCall, roll_call_id)
    await lock_obligation(session, roll_call_id, student_id)
    await lock_roll_call_shared(session, roll_call_id)
    voided = await session.get(RollCallStep, (roll_call_id, "voided")) is not None
    if voided and finding is Outcome.PRESENT:
        raise CheckVoided
    earlier = await find_current_outcome(session, roll_call_id, student_id)
    if earlier is not None and earlier.outcome == finding:
        return
    obligation = await session.get_one(Obligation, (roll_call_id, student_id))
    corrected = OutcomeDecision(finding, UPHELD, "appeal", {"appeal": str(decided.appeal_id)})
    if not await write_outcome(session, roll_call, obligation, corrected, locked.at, replaces=earlier):
        raise Conflict(
            reason_zh="该核验结果刚有变化，请重试", reason_en="the result has just changed; try again"
        )


def _audit(
    session: AsyncSession,
    filed: AppealFiled,
    decided: AppealDecided,
    locked: LockedStudent,
    *,
    sole_account: bool,
) -> None:
    after = {
        "upheld": decided.upheld,
        "finding": decided.finding if filed.target == "check" and decided.upheld else None,
        "target": filed.target,
        "target_id": filed.target_id,
        "sole_account": sole_account,
    }
    act = audit.Act("appeal_decided", "appeal", str(filed.id), locked.subject.path, after=after)
    audit.record(session, act, locked.at)
