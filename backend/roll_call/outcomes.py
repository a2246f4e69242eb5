"""The only place that writes an outcome. Entries are appended; the highest sequence number is in effect."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core import audit, outbox
from backend.core.tenancy import scope_of
from backend.org.tables import OrgUnit
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be recorded for one obligation, how it came about, and its trace."""

    outcome: Outcome
    reason: str
    method: str
    trace: dict[str, Any] = field(default_factory=dict)
    submission_id: UUID | None = None


def effective() -> Select[OutcomeEntry]:
    """Outcome entries in effect: those without a successor."""
    later = aliased(OutcomeEntry)
    succeeded = exists().where(
        later.roll_call_id == OutcomeEntry.roll_call_id,
        later.student_id == OutcomeEntry.student_id,
        later.seq == OutcomeEntry.seq + 1,
    )
    return select(OutcomeEntry).where(~succeeded)


async def outcome_of(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> OutcomeEntry | None:
    """The outcome in effect for one obligation, if there is one yet."""
    return await session.scalar(
        select(OutcomeEntry)
        .where(OutcomeEntry.roll_call_id == roll_call_id, OutcomeEntry.student_id == student_id)
        .order_by(OutcomeEntry.seq.desc())
        .limit(1)
    )


async def write_outcome(
    session: AsyncSession,
    roll_call: RollCall,
    obligation: Obligation,
    decided: Decided,
    at: datetime,
    *,
    replaces: OutcomeEntry | None = None,
) -> bool:
    """Append `decided`, as the first entry or as the successor of `replaces`.

    The key (roll call, student, seq) is what makes two simultaneous writers end with one entry: the later one
    is told False and has changed nothing.
    """
    seq = 1 if replaces is None else replaces.seq + 1
    row = {
        "roll_call_id": roll_call.id,
        "student_id": obligation.student_id,
        "seq": seq,
        "school_id": obligation.school_id,
        "class_id": obligation.class_id,
        "outcome": decided.outcome.value,
        "reason": decided.reason,
        "method": decided.method,
        "submission_id": decided.submission_id,
        "acting_account": scope_of(session).account_id,
        "policy_version": roll_call.policy_version,
        "trace": decided.trace,
        "at": at,
    }
    written = await session.scalar(
        insert(OutcomeEntry).values(row).on_conflict_do_nothing().returning(OutcomeEntry.seq)
    )
    if written is None:
        return False
    subject = f"{roll_call.id}/{obligation.student_id}"
    before = {"outcome": replaces.outcome, "reason": replaces.reason} if replaces else None
    after = {"outcome": decided.outcome.value, "reason": decided.reason, "method": decided.method, "seq": seq}
    school = await session.get_one(OrgUnit, obligation.school_id)
    act = audit.Act("outcome.write", "outcome", subject, school.path, before, after)
    audit.record(session, act, at)
    payload = {
        "roll_call_id": str(roll_call.id),
        "student_id": str(obligation.student_id),
        "school_id": str(obligation.school_id),
        "outcome": decided.outcome.value,
        "seq": seq,
    }
    if replaces is not None:
        await outbox.emit(session, "OutcomeChanged", payload, at)
    return True


async def counts(session: AsyncSession, roll_call_id: UUID) -> dict[tuple[UUID, str], int]:
    """How many outcomes are in effect, by class and outcome."""
    in_effect = effective().where(OutcomeEntry.roll_call_id == roll_call_id).subquery()
    rows = await session.execute(
        select(in_effect.c.class_id, in_effect.c.outcome, func.count()).group_by(
            in_effect.c.class_id, in_effect.c.outcome
        )
    )
    return {(class_id, outcome): count for class_id, outcome, count in rows}
