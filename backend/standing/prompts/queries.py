"""Queries on prompts: pages for lists, and one prompt with everything that matters for the decision.

Reading a prompt is not a receipt; that is a separate act (`deliveries.receive_prompt`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Select, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.leave.tables import LeaveRequest
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachmentView, load_attachments
from backend.people.tables import GuardianLink, SchoolClass, Student
from backend.roll_call.tables import RollCall
from backend.standing.access import visible_students
from backend.standing.engine.absence import list_late_leave
from backend.standing.engine.decision_rules import NOTICE, list_missing_evidence, was_notice_in_time
from backend.standing.engine.facts import RollCallFact
from backend.standing.engine.prompts import OPEN_STATES, PromptKind, PromptState
from backend.standing.policy import StandingPolicy
from backend.standing.store.carry import load_facts
from backend.standing.store.load import load_student_refs, policy_history
from backend.standing.store.tables import (
    AttendanceEntry,
    DismissalAnswer,
    LateLeaveAnswer,
    PromptClosed,
    PromptDecision,
    PromptDelivered,
    PromptRecord,
    PromptStatement,
    PromptStep,
    StandingEntry,
)


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt with its step in effect and the names of student, class and school. It holds no ID number."""

    prompt: PromptRecord
    step: PromptStep
    student_name: str
    class_id: UUID
    class_name: str | None
    """None in a student's scope, which does not include classes."""
    school_name: str
    school_path: str

    @property
    def law(self) -> StandingPolicy:
        """The policy of the prompt's event day (reading 14)."""
        return policy_history(self.school_path).on(self.prompt.event_day)


@dataclass(frozen=True, slots=True)
class PromptSearch:
    """Filters of the list; None means no filter. `overdue`: open after its deadline."""

    state: PromptState | None = None
    kind: PromptKind | None = None
    school_id: UUID | None = None
    class_id: UUID | None = None
    student_id: UUID | None = None
    open_only: bool = False
    overdue: bool = False
    unit_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""


_LATEST_STEP = (
    select(PromptStep)
    .where(PromptStep.prompt_id == PromptRecord.id)
    .order_by(PromptStep.seq.desc())
    .limit(1)
    .lateral("newest")
)
_STEP = aliased(PromptStep, _LATEST_STEP)
"""The step in effect, read by the primary key."""

_NOT_DUE = literal(datetime(9000, 1, 1, tzinfo=UTC), DateTime(timezone=True))
PromptSort = Literal["raised_at", "-raised_at", "due_at", "-due_at"]
PROMPT_SORTS = ListSorts(
    PromptRecord.id,
    {"raised_at": PromptRecord.raised_at, "due_at": func.coalesce(_STEP.due_at, _NOT_DUE)},
    default="-raised_at",
)
"""Prompts without a deadline count as due last."""


def _select_prompt_rows(actor: Actor) -> Select[*tuple[Any, ...]]:
    """The visible prompts with their step in effect and names."""
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


async def load_prompts_page(
    session: AsyncSession,
    actor: Actor,
    search: PromptSearch,
    at: datetime,
    request: PageRequest,
) -> ListPage[PromptRow]:
    """A page of the visible prompts, by `raised_at` or the deadline. Raises `NotFound` for a unit of others.

    The ids are selected first and joined to names afterwards: otherwise PostgreSQL joins the names of all the
    thousands of prompts of a province before it applies the limit.
    """
    schools = await load_school_scope(session, actor, search.unit_id)
    query = _select_ids(actor, search, at).where(is_of_schools(PromptRecord.school_id, schools))
    found = await load_page(session, query, PROMPT_SORTS, request)
    ids = [prompt_id for (prompt_id,) in found.rows]
    rows = {row.prompt.id: row for row in await load_prompt_rows(session, actor, ids)}
    return found.with_rows([rows[prompt_id] for prompt_id in ids])


def select_open_prompt_ids(actor: Actor, at: datetime) -> Select[UUID]:
    """The visible open prompts."""
    return _select_ids(actor, PromptSearch(open_only=True), at)


def _select_ids(actor: Actor, search: PromptSearch, at: datetime) -> Select[UUID]:
    page = (
        select(PromptRecord.id)
        .join(_STEP, true())
        .where(visible_students(actor, PromptRecord.student_id.expression))
    )
    if actor.school_id is not None:
        page = page.where(PromptRecord.school_id == actor.school_id)
    if search.state is not None:
        page = page.where(_STEP.state == search.state.value)
    if search.open_only or search.overdue:
        page = page.where(_STEP.state.in_([state.value for state in OPEN_STATES]))
    if search.overdue:
        page = page.where(_STEP.due_at <= at)
    if search.kind is not None:
        page = page.where(PromptRecord.kind == search.kind.value)
    if search.school_id is not None:
        page = page.where(PromptRecord.school_id == search.school_id)
    if search.class_id is not None:
        students = select(Student.id).where(Student.class_id == search.class_id)
        page = page.where(PromptRecord.student_id.in_(students))
    if search.student_id is not None:
        page = page.where(PromptRecord.student_id == search.student_id)
    if search.matching is not None:
        page = page.where(PromptRecord.student_id.in_(select(Student.id).where(search.matching)))
    return page


async def load_prompt_row(session: AsyncSession, actor: Actor, prompt_id: UUID) -> PromptRow:
    """One prompt; raises `NotFound` if it does not exist or is not visible."""
    row = (
        await session.execute(_select_prompt_rows(actor).where(PromptRecord.id == prompt_id))
    ).one_or_none()
    if row is None:
        raise NotFound
    return PromptRow(*row)


async def load_prompt_rows(session: AsyncSession, actor: Actor, ids: Collection[UUID]) -> Sequence[PromptRow]:
    """The visible prompts among the ids, in no order."""
    rows = await session.execute(_select_prompt_rows(actor).where(PromptRecord.id.in_(ids)))
    return [PromptRow(*row) for row in rows]


# --- one prompt in detail ---


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One fact that a prompt rests on, in terms that a person recognises.

    A roll call has its title and window, leave its interval, attendance its instant. `missing`: the parts of evidence
    that a roll call lacks, including a timely notice.
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
    """A decision with its files and, for a dismissal, the superior's answer."""

    decision: PromptDecision
    answer: DismissalAnswer | None
    attachments: Sequence[AttachmentView]


@dataclass(frozen=True, slots=True)
class StatementView:
    """A student's statement with its files."""

    statement: PromptStatement
    attachments: Sequence[AttachmentView]
    guardian: GuardianLink | None
    """The link of the guardian who filed it for the student."""


@dataclass(frozen=True, slots=True)
class LateLeave:
    """Leave filed after the absence that it covers began, with the superior's answer if there is one (reading 19)."""

    leave: LeaveRequest
    answer: LateLeaveAnswer | None


@dataclass(frozen=True, slots=True)
class PromptDetail:
    """A prompt with its evidence, decisions, statements and changes, each oldest first."""

    row: PromptRow
    delivered: PromptDelivered | None
    evidence: Sequence[EvidenceItem]
    decisions: Sequence[DecisionView]
    statements: Sequence[StatementView]
    changes: Sequence[StandingEntry]
    late_leave: Sequence[LateLeave]
    closed: PromptClosed | None


async def load_prompt_detail(
    session: AsyncSession, actor: Actor, prompt_id: UUID, at: datetime
) -> PromptDetail:
    """One visible prompt in detail; raises `NotFound`."""
    row = await load_prompt_row(session, actor, prompt_id)
    delivered = await session.scalar(select(PromptDelivered).where(PromptDelivered.prompt_id == prompt_id))
    changes = await session.scalars(
        select(StandingEntry).where(StandingEntry.prompt_id == prompt_id).order_by(StandingEntry.seq)
    )
    return PromptDetail(
        row=row,
        delivered=delivered,
        evidence=await _load_evidence(session, row, at),
        decisions=await _load_decisions(session, prompt_id),
        statements=await _load_statements(session, prompt_id),
        changes=list(changes),
        late_leave=await _load_late_leave(session, row, at),
        closed=await session.get(PromptClosed, prompt_id),
    )


async def _load_late_leave(session: AsyncSession, row: PromptRow, at: datetime) -> list[LateLeave]:
    if row.prompt.kind != PromptKind.ABSENCE:
        return []
    refs = await load_student_refs(session, [row.prompt.student_id])
    facts = (await load_facts(session, list(refs.values())))[row.prompt.student_id]
    ids = [UUID(leave.leave_id) for leave in list_late_leave(facts, row.prompt.evidence, at)]
    rows = await session.execute(
        select(LeaveRequest, LateLeaveAnswer)
        .outerjoin(LateLeaveAnswer, LateLeaveAnswer.leave_id == LeaveRequest.id)
        .where(LeaveRequest.id.in_(ids))
        .order_by(LeaveRequest.filed_at, LeaveRequest.id)
    )
    return [LateLeave(leave, answer) for leave, answer in rows]


async def _load_decisions(session: AsyncSession, prompt_id: UUID) -> list[DecisionView]:
    rows = (
        await session.execute(
            select(PromptDecision, DismissalAnswer)
            .outerjoin(DismissalAnswer, DismissalAnswer.decision_id == PromptDecision.id)
            .where(PromptDecision.prompt_id == prompt_id)
            .order_by(PromptDecision.at, PromptDecision.id)
        )
    ).all()
    files = await load_attachments(session, "prompt_decision", [decision.id for decision, _ in rows])
    return [DecisionView(decision, answer, files[decision.id]) for decision, answer in rows]


async def _load_statements(session: AsyncSession, prompt_id: UUID) -> list[StatementView]:
    rows = (
        await session.execute(
            select(PromptStatement, GuardianLink)
            .outerjoin(GuardianLink, GuardianLink.id == PromptStatement.guardian_link_id)
            .where(PromptStatement.prompt_id == prompt_id)
            .order_by(PromptStatement.at, PromptStatement.id)
        )
    ).all()
    files = await load_attachments(session, "prompt_statement", [row.id for row, _ in rows])
    return [StatementView(row, files[row.id], guardian) for row, guardian in rows]


# --- evidence ---


async def _load_evidence(session: AsyncSession, row: PromptRow, at: datetime) -> list[EvidenceItem]:
    """The facts in the order in which the prompt lists them."""
    keys = [str(key).partition(":") for key in row.prompt.evidence]
    ids: dict[str, list[UUID]] = {"check": [], "leave": [], "attendance": []}
    for kind, _, identifier in keys:
        ids[kind].append(UUID(identifier))
    items = await _load_roll_call_evidence(session, row, ids["check"], at)
    items |= await _load_leave_evidence(session, ids["leave"])
    items |= await _load_attendance_evidence(session, ids["attendance"])
    return [items[UUID(identifier)] for _, _, identifier in keys if UUID(identifier) in items]


async def _load_roll_call_evidence(
    session: AsyncSession, row: PromptRow, ids: Collection[UUID], at: datetime
) -> dict[UUID, EvidenceItem]:
    if not ids:
        return {}
    rows = await session.execute(
        select(RollCall, OrgUnit.name)
        .join(OrgUnit, OrgUnit.id == RollCall.launcher_id)
        .where(RollCall.id.in_(ids))
    )
    refs = await load_student_refs(session, [row.prompt.student_id])
    facts = (await load_facts(session, list(refs.values())))[row.prompt.student_id]
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
            missing=_missing_parts(checks[roll_call.id], row.law, at),
        )
        for roll_call, launcher in rows
    }


def _missing_parts(check: RollCallFact, law: StandingPolicy, at: datetime) -> tuple[str, ...]:
    late = () if was_notice_in_time(check, law, at) else (NOTICE,)
    return late + list_missing_evidence(check, law, at)


async def _load_leave_evidence(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, EvidenceItem]:
    """Intervals only: the reason for leave is visible to the school alone."""
    if not ids:
        return {}
    rows = await session.scalars(select(LeaveRequest).where(LeaveRequest.id.in_(ids)))
    return {row.id: EvidenceItem("leave", row.id, row.starts_at, row.ends_at) for row in rows}


async def _load_attendance_evidence(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, EvidenceItem]:
    if not ids:
        return {}
    rows = await session.scalars(select(AttendanceEntry).where(AttendanceEntry.id.in_(ids)))
    return {row.id: EvidenceItem("attendance", row.id, row.at) for row in rows}
