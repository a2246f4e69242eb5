"""Reading prompts: lists for whoever works on them, and one case with everything that bears on the decision.

Reading writes nothing; a receipt is an act of its own (`delivery.receive_prompt`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.leave.tables import LeaveRequest
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachmentView, attachments_of
from backend.people.tables import SchoolClass, Student
from backend.roll_call.tables import RollCall
from backend.standing.access import visible_students
from backend.standing.engine.decision_rules import NOTICE, missing_evidence, notice_in_time
from backend.standing.engine.facts import RollCallFact
from backend.standing.engine.prompts import OPEN, PromptKind, PromptState
from backend.standing.policy import StandingPolicy
from backend.standing.store.load import load_facts, load_student_refs
from backend.standing.store.lock import policy_history
from backend.standing.store.tables import (
    AttendanceEntry,
    DismissalAnswer,
    PromptDecision,
    PromptDelivered,
    PromptRecord,
    PromptStatement,
    PromptStep,
    StandingEntry,
)


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt and the state in effect, with the names that a person goes by. No ID number."""

    prompt: PromptRecord
    step: PromptStep
    student_name: str
    class_id: UUID
    class_name: str | None
    """None for the student, who is not told of classes."""
    school_name: str
    school_path: str

    @property
    def law(self) -> StandingPolicy:
        """The law of the prompt's event day (reading 14)."""
        return policy_history(self.school_path).on(self.prompt.event_day)


@dataclass(frozen=True, slots=True)
class PromptSearch:
    """Which prompts; what is not given narrows nothing. `overdue`: open past the deadline, executed or not."""

    state: PromptState | None = None
    kind: PromptKind | None = None
    school_id: UUID | None = None
    class_id: UUID | None = None
    student_id: UUID | None = None
    open_only: bool = False
    overdue: bool = False


_NEWEST = (
    select(PromptStep)
    .where(PromptStep.prompt_id == PromptRecord.id)
    .order_by(PromptStep.seq.desc())
    .limit(1)
    .lateral("newest")
)
_STEP = aliased(PromptStep, _NEWEST)
"""The step in effect, found by the primary key."""


def _rows(actor: Actor) -> Select[*tuple[Any, ...]]:
    """Every prompt of the scope with its step in effect; a counselor's own classes, a student's own."""
    names = (Student.name, Student.class_id, SchoolClass.name, OrgUnit.name, OrgUnit.path)
    return (
        select(PromptRecord, _STEP, *names)
        .select_from(PromptRecord)
        .join(_STEP, true())
        .join(Student, Student.id == PromptRecord.student_id)
        .join(OrgUnit, OrgUnit.id == PromptRecord.school_id)
        .outerjoin(SchoolClass, SchoolClass.id == Student.class_id)
        .where(visible_students(actor, PromptRecord.student_id.expression))
    )


async def prompts_page(
    session: AsyncSession,
    actor: Actor,
    search: PromptSearch,
    at: datetime,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[PromptRow]:
    """At most `limit` prompts that the caller may see, newest first, older than `before` (raised, id).

    First which, then all about them: a province has thousands, and names would be looked up for each.
    """
    which = (await session.scalars(_page(actor, search, at, before, limit))).all()
    rows = [PromptRow(*row) for row in await session.execute(_rows(actor).where(PromptRecord.id.in_(which)))]
    return sorted(rows, key=lambda row: (row.prompt.raised_at, row.prompt.id), reverse=True)


def _page(
    actor: Actor,
    search: PromptSearch,
    at: datetime,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Select[UUID]:
    page = (
        select(PromptRecord.id)
        .join(_STEP, true())
        .where(visible_students(actor, PromptRecord.student_id.expression))
        .order_by(PromptRecord.raised_at.desc(), PromptRecord.id.desc())
        .limit(limit)
    )
    if actor.school_id is not None:
        page = page.where(PromptRecord.school_id == actor.school_id)
    if search.state is not None:
        page = page.where(_STEP.state == search.state.value)
    if search.open_only or search.overdue:
        page = page.where(_STEP.state.in_([state.value for state in OPEN]))
    if search.overdue:
        page = page.where(_STEP.due_at <= at)
    if search.kind is not None:
        page = page.where(PromptRecord.kind == search.kind.value)
    if search.school_id is not None:
        page = page.where(PromptRecord.school_id == search.school_id)
    if search.class_id is not None:
        of_class = select(Student.id).where(Student.class_id == search.class_id)
        page = page.where(PromptRecord.student_id.in_(of_class))
    if search.student_id is not None:
        page = page.where(PromptRecord.student_id == search.student_id)
    if before is not None:
        page = page.where(tuple_(PromptRecord.raised_at, PromptRecord.id) < before)
    return page


async def prompt_row(session: AsyncSession, actor: Actor, prompt_id: UUID) -> PromptRow:
    """One prompt; raises `NotFound` alike for another's and for none."""
    found = (await session.execute(_rows(actor).where(PromptRecord.id == prompt_id))).one_or_none()
    if found is None:
        raise NotFound
    return PromptRow(*found)


# --- one case ---


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One fact that a prompt rests on, as a person knows it.

    A check has its title and window, leave its interval, attendance its instant. `missing`: the parts of evidence
    that a check still lacks, its notice in time among them.
    """

    kind: str
    id: UUID
    starts_at: datetime
    ends_at: datetime | None = None
    title: str | None = None
    launcher: str | None = None
    notice_delivered_at: datetime | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A decision, and the superior's answer if it dismissed."""

    decision: PromptDecision
    answer: DismissalAnswer | None
    attachments: Sequence[AttachmentView]


@dataclass(frozen=True, slots=True)
class StatementView:
    """What the student said, and the files with it."""

    statement: PromptStatement
    attachments: Sequence[AttachmentView]


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A prompt with everything that bears on it, oldest first."""

    row: PromptRow
    delivered: PromptDelivered | None
    evidence: Sequence[EvidenceItem]
    decisions: Sequence[DecisionView]
    statements: Sequence[StatementView]
    changes: Sequence[StandingEntry]


async def prompt_file(session: AsyncSession, actor: Actor, prompt_id: UUID, at: datetime) -> PromptFile:
    """One prompt in full; raises `NotFound`."""
    row = await prompt_row(session, actor, prompt_id)
    delivered = await session.scalar(select(PromptDelivered).where(PromptDelivered.prompt_id == prompt_id))
    changes = await session.scalars(
        select(StandingEntry).where(StandingEntry.prompt_id == prompt_id).order_by(StandingEntry.seq)
    )
    return PromptFile(
        row=row,
        delivered=delivered,
        evidence=await _evidence(session, row, at),
        decisions=await _decisions(session, prompt_id),
        statements=await _statements(session, prompt_id),
        changes=list(changes),
    )


async def _decisions(session: AsyncSession, prompt_id: UUID) -> list[DecisionView]:
    rows = (
        await session.execute(
            select(PromptDecision, DismissalAnswer)
            .outerjoin(DismissalAnswer, DismissalAnswer.decision_id == PromptDecision.id)
            .where(PromptDecision.prompt_id == prompt_id)
            .order_by(PromptDecision.at, PromptDecision.id)
        )
    ).all()
    files = await attachments_of(session, "prompt_decision", [decision.id for decision, _ in rows])
    return [DecisionView(decision, answer, files[decision.id]) for decision, answer in rows]


async def _statements(session: AsyncSession, prompt_id: UUID) -> list[StatementView]:
    rows = (
        await session.scalars(
            select(PromptStatement)
            .where(PromptStatement.prompt_id == prompt_id)
            .order_by(PromptStatement.at, PromptStatement.id)
        )
    ).all()
    files = await attachments_of(session, "prompt_statement", [row.id for row in rows])
    return [StatementView(row, files[row.id]) for row in rows]


# --- evidence as people know it ---


async def _evidence(session: AsyncSession, row: PromptRow, at: datetime) -> list[EvidenceItem]:
    """The facts in the order in which the prompt names them."""
    keys = [str(key).partition(":") for key in row.prompt.evidence]
    ids: dict[str, list[UUID]] = {"check": [], "leave": [], "attendance": []}
    for kind, _, identifier in keys:
        ids[kind].append(UUID(identifier))
    known = await _checks(session, row, ids["check"], at)
    known |= await _leaves(session, ids["leave"])
    known |= await _attendance(session, ids["attendance"])
    return [known[UUID(identifier)] for _, _, identifier in keys if UUID(identifier) in known]


async def _checks(
    session: AsyncSession, row: PromptRow, ids: Collection[UUID], at: datetime
) -> dict[UUID, EvidenceItem]:
    if not ids:
        return {}
    found = await session.execute(
        select(RollCall, OrgUnit.name)
        .join(OrgUnit, OrgUnit.id == RollCall.launcher_id)
        .where(RollCall.id.in_(ids))
    )
    asked = await load_student_refs(session, [row.prompt.student_id])
    facts = (await load_facts(session, list(asked.values())))[row.prompt.student_id]
    checks = {UUID(check.check_id): check for check in facts.checks}
    return {
        roll_call.id: EvidenceItem(
            kind="check",
            id=roll_call.id,
            starts_at=roll_call.opens_at,
            ends_at=roll_call.deadline,
            title=roll_call.title,
            launcher=launcher,
            notice_delivered_at=checks[roll_call.id].notice_delivered_at,
            missing=_missing(checks[roll_call.id], row.law, at),
        )
        for roll_call, launcher in found
    }


def _missing(check: RollCallFact, law: StandingPolicy, at: datetime) -> tuple[str, ...]:
    late = () if notice_in_time(check, law, at) else (NOTICE,)
    return late + missing_evidence(check, law, at)


async def _leaves(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, EvidenceItem]:
    """Intervals only: why somebody was on leave is the school's business."""
    if not ids:
        return {}
    rows = await session.scalars(select(LeaveRequest).where(LeaveRequest.id.in_(ids)))
    return {row.id: EvidenceItem("leave", row.id, row.starts_at, row.ends_at) for row in rows}


async def _attendance(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, EvidenceItem]:
    if not ids:
        return {}
    rows = await session.scalars(select(AttendanceEntry).where(AttendanceEntry.id.in_(ids)))
    return {row.id: EvidenceItem("attendance", row.id, row.at) for row in rows}
