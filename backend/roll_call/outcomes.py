"""Reads and writes outcomes; no other module writes them. Entries are appended, and the highest `seq` is current.

Locks, in this order: `lock_obligation` to decide on one obligation, then `lock_roll_call_shared` to add to a roll call
that is not settled. Settlement and voiding take `lock_roll_call_exclusive`. Locks end with the transaction.
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
    and_,
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
from backend.roll_call.events import OutcomeChanged
from backend.roll_call.partitioning import own_school_filter
from backend.roll_call.rules import NO_CHECK_IN, Outcome, OutcomeMethod
from backend.roll_call.tables import Obligation, OutcomeEntry, RollCall


@dataclass(frozen=True, slots=True)
class OutcomeDecision:
    """An outcome to write for one obligation, with its reason, the method that found it, and its trace."""

    outcome: Outcome
    reason: str
    method: OutcomeMethod
    trace: dict[str, Any] = field(default_factory=dict)
    submission_id: UUID | None = None


async def lock_obligation(session: AsyncSession, roll_call_id: UUID, student_id: UUID) -> None:
    """Serialise decisions on one obligation without blocking other students."""
    await session.execute(select(func.pg_advisory_xact_lock(_key(f"{roll_call_id}/{student_id}"))))


async def lock_obligations(session: AsyncSession, pairs: Collection[tuple[UUID, UUID]]) -> None:
    """Lock several pairs of roll call and student, always in the same order to avoid deadlocks."""
    names = [f"{roll_call_id}/{student_id}" for roll_call_id, student_id in pairs]
    named = func.unnest(cast(names, ARRAY(String))).column_valued("name")
    keys = select(func.hashtextextended(named, 0).label("key")).order_by("key").subquery()
    await session.execute(select(func.pg_advisory_xact_lock(keys.c.key)))


async def lock_roll_call_shared(session: AsyncSession, roll_call_id: UUID) -> None:
    """Block settlement and voiding until this transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock_shared(_key(f"settle/{roll_call_id}"))))


async def lock_roll_call_exclusive(session: AsyncSession, roll_call_id: UUID) -> None:
    """Wait for all holders of the shared lock and block new ones."""
    await session.execute(select(func.pg_advisory_xact_lock(_key(f"settle/{roll_call_id}"))))


def _key(name: str) -> ColumnElement[int]:
    return func.hashtextextended(name, 0)


def roll_call_term(roll_call_id: UUID) -> ScalarSelect[str]:
    """Subquery for the term of a roll call, so that a statement scans only the partition of that term."""
    return select(RollCall.term_code).where(RollCall.id == roll_call_id).scalar_subquery()


async def find_obligation(session: AsyncSession, roll_call: RollCall, student_id: UUID) -> Obligation | None:
    """The obligation of a student in a roll call, or None."""
    return await session.scalar(
        select(Obligation).where(
            Obligation.term_code == roll_call.term_code,
            Obligation.roll_call_id == roll_call.id,
            Obligation.student_id == student_id,
            *own_school_filter(session, Obligation.school_id),
        )
    )


def select_current_outcomes() -> Select[OutcomeEntry]:
    """The current outcome entries: those with the highest `seq` of their obligation."""
    later = aliased(OutcomeEntry)
    # A correlated subquery by key instead of a join: for a new roll call the planner expects a single row and would
    # choose a nested loop over all of them.
    newest = select(func.max(later.seq)).where(
        later.term_code == OutcomeEntry.term_code,
        later.roll_call_id == OutcomeEntry.roll_call_id,
        later.student_id == OutcomeEntry.student_id,
    )
    return select(OutcomeEntry).where(OutcomeEntry.seq == newest.scalar_subquery())


async def find_current_outcome(
    session: AsyncSession, roll_call_id: UUID, student_id: UUID
) -> OutcomeEntry | None:
    """The current outcome of one obligation, or None."""
    return await session.scalar(
        select(OutcomeEntry)
        .where(
            OutcomeEntry.term_code == roll_call_term(roll_call_id),
            OutcomeEntry.roll_call_id == roll_call_id,
            OutcomeEntry.student_id == student_id,
            *own_school_filter(session, OutcomeEntry.school_id),
        )
        .order_by(OutcomeEntry.seq.desc())
        .limit(1)
    )


def is_supersedable(entry: OutcomeEntry) -> bool:
    """Whether an accepted submission still replaces this outcome: undetermined, or missed without a check-in."""
    return entry.outcome == Outcome.UNDETERMINED or (
        entry.outcome == Outcome.MISSED and entry.reason == NO_CHECK_IN
    )


async def write_outcome(
    session: AsyncSession,
    roll_call: RollCall,
    obligation: Obligation,
    decision: OutcomeDecision,
    at: datetime,
    *,
    replaces: OutcomeEntry | None = None,
) -> bool:
    """Append an entry, as the first one or as the successor of `replaces`. Returns False if there is one already.

    The key (roll call, student, seq) ensures that of two concurrent writers only one appends.
    """
    seq = 1 if replaces is None else replaces.seq + 1
    if not await _append(session, roll_call, [(obligation, decision)], seq, at):
        return False
    before = {"outcome": replaces.outcome, "reason": replaces.reason} if replaces else None
    await _audit(session, obligation, decision, before, seq, at)
    if replaces is not None:
        event = OutcomeChanged(
            roll_call_id=roll_call.id,
            student_id=obligation.student_id,
            school_id=obligation.school_id,
            outcome=decision.outcome.value,
            seq=seq,
        )
        await outbox.emit(session, event, at)
    return True


async def write_first_outcomes(
    session: AsyncSession,
    roll_call: RollCall,
    decisions: Sequence[tuple[Obligation, OutcomeDecision]],
    at: datetime,
) -> None:
    """Write the first entry of several obligations in one statement; obligations with an outcome are left unchanged."""
    written = await _append(session, roll_call, decisions, 1, at)
    for obligation, decision in decisions:
        if obligation.student_id in written:
            await _audit(session, obligation, decision, None, 1, at)


async def _append(
    session: AsyncSession,
    roll_call: RollCall,
    decisions: Sequence[tuple[Obligation, OutcomeDecision]],
    seq: int,
    at: datetime,
) -> set[UUID]:
    """Insert entries. Returns the students whose entry was inserted."""
    rows = [
        {
            "roll_call_id": roll_call.id,
            "student_id": obligation.student_id,
            "seq": seq,
            "school_id": obligation.school_id,
            "term_code": obligation.term_code,
            "class_id": obligation.class_id,
            "outcome": decision.outcome.value,
            "reason": decision.reason,
            "method": decision.method,
            "submission_id": decision.submission_id,
            "acting_account": scope_of(session).account_id,
            "policy_version": roll_call.policy_version,
            "trace": decision.trace,
            "at": at,
        }
        for obligation, decision in decisions
    ]
    statement = insert(OutcomeEntry).values(rows).on_conflict_do_nothing()
    return set(await session.scalars(statement.returning(OutcomeEntry.student_id)))


async def _audit(
    session: AsyncSession,
    obligation: Obligation,
    decision: OutcomeDecision,
    before: dict[str, Any] | None,
    seq: int,
    at: datetime,
) -> None:
    subject = f"{obligation.roll_call_id}/{obligation.student_id}"
    after = {
        "outcome": decision.outcome.value,
        "reason": decision.reason,
        "method": decision.method,
        "seq": seq,
    }
    school = await session.get_one(OrgUnit, obligation.school_id)
    audit.record(session, audit.Act("outcome.write", "outcome", subject, school.path, before, after), at)


def select_open_obligations(roll_call: RollCall) -> Select[Obligation]:
    """The obligations of a roll call that have no outcome yet."""
    has_outcome = exists().where(
        OutcomeEntry.term_code == roll_call.term_code,
        OutcomeEntry.roll_call_id == roll_call.id,
        OutcomeEntry.student_id == Obligation.student_id,
    )
    return select(Obligation).where(
        Obligation.term_code == roll_call.term_code, Obligation.roll_call_id == roll_call.id, ~has_outcome
    )


def is_owed_and_not_present(roll_call_id: UUID) -> ColumnElement[bool]:
    """Condition for `obligation` rows of a roll call: owed, and the student is not present yet."""
    present = (
        select_current_outcomes()
        .where(
            OutcomeEntry.term_code == Obligation.term_code,
            OutcomeEntry.roll_call_id == Obligation.roll_call_id,
            OutcomeEntry.student_id == Obligation.student_id,
            OutcomeEntry.outcome == Outcome.PRESENT.value,
        )
        .exists()
    )
    return and_(
        Obligation.term_code == roll_call_term(roll_call_id),
        Obligation.roll_call_id == roll_call_id,
        Obligation.duty == "owed",
        ~present,
    )


async def fill_open_outcomes(
    session: AsyncSession,
    roll_call: RollCall,
    decision: OutcomeDecision,
    at: datetime,
    *,
    among: FromClause | None = None,
) -> None:
    """Write one decision for all open obligations in one statement; excused students get the outcome excused instead.

    `among` limits it to some open obligations, as rows of `student_id, school_id, class_id, duty, reason`. There is no
    audit entry per student: the entry of the settlement or voiding covers all of them.
    """
    open_obligations = (
        select_open_obligations(roll_call).where(Obligation.duty != "exempt").subquery()
        if among is None
        else among
    )
    is_excused = open_obligations.c.duty == "excused"
    row: dict[str, ColumnElement[Any]] = {
        "roll_call_id": literal(roll_call.id),
        "student_id": open_obligations.c.student_id,
        "seq": literal(1),
        "school_id": open_obligations.c.school_id,
        "term_code": literal(roll_call.term_code),
        "class_id": open_obligations.c.class_id,
        "outcome": case((is_excused, Outcome.EXCUSED.value), else_=decision.outcome.value),
        "reason": case((is_excused, open_obligations.c.reason), else_=decision.reason),
        "method": literal(decision.method),
        "acting_account": literal(scope_of(session).account_id, Uuid()),
        "policy_version": literal(roll_call.policy_version),
        "trace": literal(decision.trace, JSONB()),
        "at": literal(at, DateTime(timezone=True)),
    }
    statement = insert(OutcomeEntry).from_select(list(row), select(*row.values()))
    await session.execute(statement.on_conflict_do_nothing())
