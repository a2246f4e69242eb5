"""The only place that writes an outcome. Entries are appended; the highest sequence number is in effect.

Whoever decides on one obligation holds `lock_obligation`; whoever still adds to an open roll call holds
`lock_roll_call_shared`, always after the former; a settlement or a voiding holds `lock_roll_call_exclusive`. Locks end with the transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    FromClause,
    ScalarSelect,
    Select,
    String,
    Uuid,
    case,
    cast,
    exists,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core import audit, outbox
from backend.core.tenancy import scope_of
from backend.org.tables import OrgUnit
from backend.roll_call.partitioning import of_own_school
from backend.roll_call.rules import NO_CHECK_IN, Outcome
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be recorded for one obligation, how it came about, and its trace."""

    outcome: Outcome
    reason: str
    method: str
    trace: dict[str, Any] = field(default_factory=dict)
    submission_id: UUID | None = None


async def lock_obligation(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> None:
    """Serialise all that decides on one student's obligation; nobody else waits."""
    await session.execute(select(func.pg_advisory_xact_lock(_key(f"{roll_call_id}/{student_id}"))))


async def lock_obligations(session: AsyncSession, owed: Collection[tuple[UUID, UUID]]) -> None:
    """`lock_obligation` for several pairs of roll call and student, in an order that is everybody's, so that no two
    who lock several wait for each other.
    """
    names = [f"{roll_call_id}/{student_id}" for roll_call_id, student_id in owed]
    named = func.unnest(cast(names, ARRAY(String))).column_valued("name")
    keys = select(func.hashtextextended(named, 0).label("key")).order_by("key").subquery()
    await session.execute(select(func.pg_advisory_xact_lock(keys.c.key)))


async def lock_roll_call_shared(session: AsyncSession, roll_call_id: UUID) -> None:
    """Keep settlement and voiding waiting until this transaction has ended."""
    await session.execute(select(func.pg_advisory_xact_lock_shared(_key(f"settle/{roll_call_id}"))))


async def lock_roll_call_exclusive(session: AsyncSession, roll_call_id: UUID) -> None:
    """Wait for everyone who holds the roll call open, and keep all others out."""
    await session.execute(select(func.pg_advisory_xact_lock(_key(f"settle/{roll_call_id}"))))


def _key(name: str) -> ColumnElement[int]:
    return func.hashtextextended(name, 0)


def load_term(roll_call_id: UUID) -> ScalarSelect[str]:
    """The term of a roll call as part of a statement, so that it looks nowhere else."""
    return select(RollCall.term_code).where(RollCall.id == roll_call_id).scalar_subquery()


async def obligation_of(session: AsyncSession, roll_call: RollCall, student_id: UUID) -> Obligation | None:
    """A student's part in a roll call; None if there is none."""
    return await session.scalar(
        select(Obligation).where(
            Obligation.term_code == roll_call.term_code,
            Obligation.roll_call_id == roll_call.id,
            Obligation.student_id == student_id,
            *of_own_school(session, Obligation.school_id),
        )
    )


def effective() -> Select[OutcomeEntry]:
    """Outcome entries in effect: those without a successor."""
    later = aliased(OutcomeEntry)
    # By key for each, and not as a join: of a roll call that is new to it the planner expects one row, and would look
    # through all of them for each.
    newest = select(func.max(later.seq)).where(
        later.term_code == OutcomeEntry.term_code,
        later.roll_call_id == OutcomeEntry.roll_call_id,
        later.student_id == OutcomeEntry.student_id,
    )
    return select(OutcomeEntry).where(OutcomeEntry.seq == newest.scalar_subquery())


async def outcome_of(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> OutcomeEntry | None:
    """The outcome in effect for one obligation, if there is one yet."""
    return await session.scalar(
        select(OutcomeEntry)
        .where(
            OutcomeEntry.term_code == load_term(roll_call_id),
            OutcomeEntry.roll_call_id == roll_call_id,
            OutcomeEntry.student_id == student_id,
            *of_own_school(session, OutcomeEntry.school_id),
        )
        .order_by(OutcomeEntry.seq.desc())
        .limit(1)
    )


def supersedable(entry: OutcomeEntry) -> bool:
    """Whether an accepted submission still changes this result: undetermined, or missed for having sent nothing."""
    return entry.outcome == Outcome.UNDETERMINED or (
        entry.outcome == Outcome.MISSED and entry.reason == NO_CHECK_IN
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
    if not await _append(session, roll_call, [(obligation, decided)], seq, at):
        return False
    before = {"outcome": replaces.outcome, "reason": replaces.reason} if replaces else None
    await _trace(session, obligation, decided, before, seq, at)
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


async def write_each_first(
    session: AsyncSession, roll_call: RollCall, judged: Sequence[tuple[Obligation, Decided]], at: datetime
) -> None:
    """`write_outcome` of a first entry for each of some obligations, in one statement; who has one already keeps it."""
    written = await _append(session, roll_call, judged, 1, at)
    for obligation, decided in judged:
        if obligation.student_id in written:
            await _trace(session, obligation, decided, None, 1, at)


async def _append(
    session: AsyncSession,
    roll_call: RollCall,
    judged: Sequence[tuple[Obligation, Decided]],
    seq: int,
    at: datetime,
) -> set[UUID]:
    """The students whose entry was written."""
    rows = [
        {
            "roll_call_id": roll_call.id,
            "student_id": obligation.student_id,
            "seq": seq,
            "school_id": obligation.school_id,
            "term_code": obligation.term_code,
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
        for obligation, decided in judged
    ]
    put = insert(OutcomeEntry).values(rows).on_conflict_do_nothing()
    return set(await session.scalars(put.returning(OutcomeEntry.student_id)))


async def _trace(
    session: AsyncSession,
    obligation: Obligation,
    decided: Decided,
    before: dict[str, Any] | None,
    seq: int,
    at: datetime,
) -> None:
    subject = f"{obligation.roll_call_id}/{obligation.student_id}"
    after = {"outcome": decided.outcome.value, "reason": decided.reason, "method": decided.method, "seq": seq}
    school = await session.get_one(OrgUnit, obligation.school_id)
    audit.record(session, audit.Act("outcome.write", "outcome", subject, school.path, before, after), at)


def without_outcome(roll_call: RollCall) -> Select[Obligation]:
    """Obligations of a roll call that have no outcome at all."""
    decided = exists().where(
        OutcomeEntry.term_code == roll_call.term_code,
        OutcomeEntry.roll_call_id == roll_call.id,
        OutcomeEntry.student_id == Obligation.student_id,
    )
    of_it = (Obligation.term_code == roll_call.term_code, Obligation.roll_call_id == roll_call.id)
    return select(Obligation).where(*of_it, ~decided)


async def write_first_outcomes(
    session: AsyncSession,
    roll_call: RollCall,
    decided: Decided,
    at: datetime,
    *,
    among: FromClause | None = None,
) -> None:
    """`decided` for everyone who owes presence and has no outcome, in one statement; the excused stay excused.

    `among` narrows it to rows of `student_id, school_id, class_id, duty, reason` from obligations of the roll call.

    The other half of `write_outcome`, for rows that need no judgement one by one: the audit entry of the
    settlement or voiding stands for all of them.
    """
    everyone = without_outcome(roll_call).where(Obligation.duty != "exempt")
    open_ones = everyone.subquery() if among is None else among
    excused = open_ones.c.duty == "excused"
    row: dict[str, ColumnElement[Any]] = {
        "roll_call_id": literal(roll_call.id),
        "student_id": open_ones.c.student_id,
        "seq": literal(1),
        "school_id": open_ones.c.school_id,
        "term_code": literal(roll_call.term_code),
        "class_id": open_ones.c.class_id,
        "outcome": case((excused, Outcome.EXCUSED.value), else_=decided.outcome.value),
        "reason": case((excused, open_ones.c.reason), else_=decided.reason),
        "method": literal(decided.method),
        "acting_account": literal(scope_of(session).account_id, Uuid()),
        "policy_version": literal(roll_call.policy_version),
        "trace": literal(decided.trace, JSONB()),
        "at": literal(at, DateTime(timezone=True)),
    }
    written = insert(OutcomeEntry).from_select(list(row), select(*row.values()))
    await session.execute(written.on_conflict_do_nothing())
