"""Loads the recorded facts of students. The number of statements does not grow with the number of students."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import equals_any
from backend.leave.queries import load_leave_intervals
from backend.leave.rules import SchoolTerm
from backend.org.calendar_years import get_load_times_of_added_years
from backend.org.paths import division_of, superior_paths
from backend.org.tables import OrgUnit
from backend.org.terms import get_all_terms
from backend.people.tables import Student, StudentTransfer
from backend.policy import installed
from backend.roll_call.facts_for_standing import RollCallFacts, load_roll_call_facts
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Attendance,
    CalendarYearLoaded,
    CompletedEvidence,
    Decision,
    Edit,
    EvidenceClosure,
    LeaveAnswer,
    Outage,
    PromptDelivery,
    ProvinceApproval,
    ReasonClaim,
    Result,
    Reversal,
    RollCallFact,
    Status,
    StudentFacts,
)
from backend.standing.policy import PolicyHistory
from backend.standing.store import tables


@dataclass(frozen=True, slots=True)
class StudentRef:
    """A student with the school, its path, and the current status on the roll.

    `transferred_at`: when the student came from another school; facts before this instant were published there.
    """

    student_id: UUID
    school_id: UUID
    path: str
    status: Status
    transferred_at: datetime | None = None

    def is_earlier(self, at: datetime) -> bool:
        """Whether the instant lies in the student's time at an earlier school."""
        return self.transferred_at is not None and at < self.transferred_at


def policy_history(path: str) -> PolicyHistory:
    """The policies that apply to the school at the path."""
    return PolicyHistory(installed.installed_policy(), division_of(path))


async def load_student_refs(session: AsyncSession, student_ids: Collection[UUID]) -> dict[UUID, StudentRef]:
    """Those of the students whom the scope includes."""
    rows = await session.execute(
        select(
            Student.id,
            Student.school_id,
            OrgUnit.path,
            Student.standing,
            Student.study_form,
            StudentTransfer.at,
        )
        .join(OrgUnit, OrgUnit.id == Student.school_id)
        .outerjoin(StudentTransfer, StudentTransfer.student_id == Student.id)
        .where(equals_any(Student.id, student_ids))
    )
    return {
        student_id: StudentRef(student_id, school_id, path, Status(standing, study_form), transferred_at)
        for student_id, school_id, path, standing, study_form, transferred_at in rows
    }


async def load_own_facts(session: AsyncSession, students: Collection[StudentRef]) -> dict[UUID, StudentFacts]:
    """The facts recorded in each student's school; `carry.py` adds those of earlier schools.

    The engine ignores facts later than its `as_of`.
    """
    ids = [student.student_id for student in students]
    schools = {student.school_id: student.path for student in students}
    terms = await _load_terms(session, schools)
    outages = await _load_outages(session, schools)
    loads = tuple(
        CalendarYearLoaded(year, at)
        for year, at in sorted((await get_load_times_of_added_years(session)).items())
    )
    checks = await load_roll_call_facts(
        session, {student.student_id: student.school_id for student in students}
    )
    leaves = await load_leave_intervals(session, ids)
    acts = await _load_acts(session, ids)
    return {
        student.student_id: StudentFacts(
            student_id=str(student.student_id),
            initial=acts.origins.get(student.student_id, student.status),
            terms=terms[student.school_id],
            checks=tuple(
                _check_fact(check, acts.evidence[student.student_id]) for check in checks[student.student_id]
            ),
            leaves=tuple(leaves[student.student_id]),
            claims=tuple(acts.claims[student.student_id]),
            outages=outages[student.school_id],
            attendance=tuple(acts.attendance[student.student_id]),
            deliveries=tuple(acts.deliveries[student.student_id]),
            decisions=tuple(acts.decisions[student.student_id]),
            acknowledgements=tuple(acts.acknowledgements[student.student_id]),
            appeals=tuple(acts.appeals[student.student_id]),
            reversals=tuple(acts.reversals[student.student_id]),
            edits=tuple(acts.edits[student.student_id]),
            approvals=tuple(acts.approvals[student.student_id]),
            calendar_loads=loads,
            evidence_closures=tuple(acts.closures[student.student_id]),
            leave_answers=tuple(acts.leave_answers[student.student_id]),
        )
        for student in students
    }


def _check_fact(check: RollCallFacts, completed: Sequence[tuple[UUID, CompletedEvidence]]) -> RollCallFact:
    roll_call = check.roll_call
    return RollCallFact(
        check_id=str(roll_call.id),
        kind=roll_call.kind,
        launcher=check.launcher,
        launched_at=roll_call.launched_at,
        notified_at=check.notified_at,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        results=tuple(Result(outcome, at) for outcome, at in check.results),
        notice_delivered_at=check.notice_delivered_at,
        notice_recorded_at=check.notice_recorded_at,
        evidence_since=check.evidence_since,
        evidence=check.evidence,
        voided_at=check.voided_at,
        completed=tuple(record for roll_call_id, record in completed if roll_call_id == roll_call.id),
    )


async def _load_terms(session: AsyncSession, schools: Collection[UUID]) -> dict[UUID, tuple[SchoolTerm, ...]]:
    terms = await get_all_terms(session, schools)
    return {
        school_id: tuple(
            SchoolTerm(
                view.code,
                view.starts_on,
                view.ends_on,
                tuple((pause.starts_on, pause.ends_on) for pause in view.vacations),
                tuple(pause.declared_at for pause in view.vacations),
            )
            for view in views
        )
        for school_id, views in terms.items()
    }


async def _load_outages(session: AsyncSession, schools: dict[UUID, str]) -> dict[UUID, tuple[Outage, ...]]:
    """Outages declared for each school or for a unit above it."""
    paths_of_school = {school_id: superior_paths(path) for school_id, path in schools.items()}
    outage, ended, decision = tables.OutageRecord, tables.OutageEnded, tables.OutageDecision
    rows = await session.execute(
        select(outage, ended, decision)
        .outerjoin(ended, ended.outage_id == outage.id)
        .outerjoin(decision, decision.outage_id == outage.id)
        .where(outage.org_path.in_({path for paths in paths_of_school.values() for path in paths}))
        .order_by(outage.starts_at, outage.id)
    )
    by_path: dict[str, list[Outage]] = defaultdict(list)
    for row, end, decided in rows:
        by_path[row.org_path].append(
            Outage(
                outage_id=str(row.id),
                declared_at=row.declared_at,
                starts_at=row.starts_at,
                ends_at=row.ends_at or (end.ends_at if end else row.lapses_at),
                end_recorded_at=end.recorded_at if end and row.ends_at is None else None,
                decided_at=decided.at if decided else None,
                approved=bool(decided and decided.approved),
            )
        )
    return {
        school_id: tuple(outage for path in paths for outage in by_path[path])
        for school_id, paths in paths_of_school.items()
    }


@dataclass(slots=True)
class _Acts:
    """Facts that people recorded, by student."""

    origins: dict[UUID, Status] = field(default_factory=dict)
    claims: dict[UUID, list[ReasonClaim]] = field(default_factory=lambda: defaultdict(list))
    attendance: dict[UUID, list[Attendance]] = field(default_factory=lambda: defaultdict(list))
    deliveries: dict[UUID, list[PromptDelivery]] = field(default_factory=lambda: defaultdict(list))
    decisions: dict[UUID, list[Decision]] = field(default_factory=lambda: defaultdict(list))
    acknowledgements: dict[UUID, list[Acknowledgement]] = field(default_factory=lambda: defaultdict(list))
    appeals: dict[UUID, list[Appeal]] = field(default_factory=lambda: defaultdict(list))
    reversals: dict[UUID, list[Reversal]] = field(default_factory=lambda: defaultdict(list))
    edits: dict[UUID, list[Edit]] = field(default_factory=lambda: defaultdict(list))
    approvals: dict[UUID, list[ProvinceApproval]] = field(default_factory=lambda: defaultdict(list))
    evidence: dict[UUID, list[tuple[UUID, CompletedEvidence]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    closures: dict[UUID, list[EvidenceClosure]] = field(default_factory=lambda: defaultdict(list))
    leave_answers: dict[UUID, list[LeaveAnswer]] = field(default_factory=lambda: defaultdict(list))


async def _read_claims(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """Claims with their decisions."""
    claim, decision = tables.ReasonClaimRecord, tables.ClaimDecision
    for row, decided in await session.execute(
        select(claim, decision)
        .outerjoin(decision, decision.claim_id == claim.id)
        .where(equals_any(claim.student_id, ids))
        .order_by(claim.filed_at, claim.id)
    ):
        acts.claims[row.student_id].append(
            ReasonClaim(
                claim_id=str(row.id),
                check_id=str(row.roll_call_id),
                filed_at=row.filed_at,
                reason=row.reason,
                text=row.text,
                leave_id=str(row.leave_id) if row.leave_id else None,
                decided_at=decided.at if decided else None,
                accepted=bool(decided and decided.accepted),
            )
        )


async def _read_appeals(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """Appeals with their decision or withdrawal."""
    appeal, decided, withdrawn = tables.AppealFiled, tables.AppealDecided, tables.AppealWithdrawn
    for filed, end, withdrawn_at in await session.execute(
        select(appeal, decided, withdrawn.at)
        .outerjoin(decided, decided.appeal_id == appeal.id)
        .outerjoin(withdrawn, withdrawn.appeal_id == appeal.id)
        .where(equals_any(appeal.student_id, ids))
        .order_by(appeal.filed_at, appeal.id)
    ):
        acts.appeals[filed.student_id].append(
            Appeal(
                appeal_id=str(filed.id),
                appellant=filed.appellant,
                target=filed.target,
                target_id=filed.target_id,
                filed_at=filed.filed_at,
                previous=str(filed.previous) if filed.previous else None,
                decided_at=end.at if end else withdrawn_at,
                upheld=bool(end and end.upheld),
                finding=end.finding if end else "excused",
            )
        )


async def _read_attendance(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    entry = tables.AttendanceEntry
    for row in await session.scalars(
        select(entry).where(equals_any(entry.student_id, ids)).order_by(entry.at, entry.id)
    ):
        acts.attendance[row.student_id].append(Attendance(str(row.id), row.at, row.present, row.recorded_at))


async def _read_deliveries(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """Deliveries of prompts to the school."""
    delivered = tables.PromptDelivered
    for row in await session.scalars(
        select(delivered)
        .where(equals_any(delivered.student_id, ids))
        .order_by(delivered.at, delivered.prompt_id)
    ):
        acts.deliveries[row.student_id].append(PromptDelivery(str(row.prompt_id), row.at))


async def _read_decisions(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """Decisions on prompts, and the superior's answers to dismissals."""
    decision, answer = tables.PromptDecision, tables.DismissalAnswer
    for row, answered in await session.execute(
        select(decision, answer)
        .outerjoin(answer, answer.decision_id == decision.id)
        .where(equals_any(decision.student_id, ids))
        .order_by(decision.at, decision.id)
    ):
        acts.decisions[row.student_id].append(
            Decision(
                decision_id=str(row.id),
                prompt_id=str(row.prompt_id),
                at=row.at,
                by=str(row.decided_by),
                role=row.role,
                outcome=row.outcome,
                reasons=row.reasons,
                found_reason=row.found_reason,
                found_text=row.found_text,
            )
        )
        if answered is not None:
            acts.acknowledgements[row.student_id].append(
                Acknowledgement(str(row.id), answered.at, str(answered.answered_by), answered.accepted)
            )


async def _read_origins(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """The status before the first ledger entry."""
    origin = tables.StandingOrigin
    for row in await session.scalars(select(origin).where(equals_any(origin.student_id, ids))):
        acts.origins[row.student_id] = Status(row.standing, row.study_form)


async def _read_edits(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    edit = tables.StandingEdit
    for row in await session.scalars(
        select(edit).where(equals_any(edit.student_id, ids)).order_by(edit.at, edit.id)
    ):
        acts.edits[row.student_id].append(
            Edit(
                edit_id=str(row.id),
                at=row.at,
                item=row.item,
                standing=row.standing,
                study_form=row.study_form,
                approval_id=str(row.approval_id) if row.approval_id else None,
            )
        )


async def _read_approvals(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """Change requests that the province approved."""
    approved = tables.ProvinceApproved
    for row in await session.scalars(
        select(approved).where(equals_any(approved.student_id, ids)).order_by(approved.at)
    ):
        acts.approvals[row.student_id].append(ProvinceApproval(str(row.request_id), row.at))


async def _read_reversals(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    reversed_change = tables.ChangeReversed
    for row in await session.scalars(
        select(reversed_change)
        .where(equals_any(reversed_change.student_id, ids))
        .order_by(reversed_change.at)
    ):
        acts.reversals[row.student_id].append(
            Reversal(
                reversal_id=str(row.id),
                change_id=str(row.change_id),
                at=row.at,
                by=str(row.reversed_by),
                reasons=row.reasons,
            )
        )


async def _read_evidence(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """What superiors recorded about missing evidence."""
    completed = tables.EvidenceCompleted
    for row in await session.scalars(
        select(completed)
        .where(equals_any(completed.student_id, ids))
        .order_by(completed.at, completed.roll_call_id, completed.part)
    ):
        record = CompletedEvidence(row.part, row.at, row.delivered_at)
        acts.evidence[row.student_id].append((row.roll_call_id, record))


async def _read_closures(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    closed = tables.PromptClosed
    for row in await session.scalars(
        select(closed).where(equals_any(closed.student_id, ids)).order_by(closed.at, closed.prompt_id)
    ):
        closure = EvidenceClosure(str(row.prompt_id), row.at, str(row.closed_by), row.reasons)
        acts.closures[row.student_id].append(closure)


async def _read_leave_answers(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    answer = tables.LateLeaveAnswer
    for row in await session.scalars(
        select(answer).where(equals_any(answer.student_id, ids)).order_by(answer.at, answer.leave_id)
    ):
        acts.leave_answers[row.student_id].append(LeaveAnswer(str(row.leave_id), row.at, row.accepted))


_Reader = Callable[[AsyncSession, Collection[UUID], _Acts], Awaitable[None]]
_READERS: dict[str, _Reader] = {
    tables.ReasonClaimRecord.__tablename__: _read_claims,
    tables.AppealFiled.__tablename__: _read_appeals,
    tables.AttendanceEntry.__tablename__: _read_attendance,
    tables.PromptDelivered.__tablename__: _read_deliveries,
    tables.PromptDecision.__tablename__: _read_decisions,
    tables.StandingOrigin.__tablename__: _read_origins,
    tables.StandingEdit.__tablename__: _read_edits,
    tables.ProvinceApproved.__tablename__: _read_approvals,
    tables.ChangeReversed.__tablename__: _read_reversals,
    tables.EvidenceCompleted.__tablename__: _read_evidence,
    tables.PromptClosed.__tablename__: _read_closures,
    tables.LateLeaveAnswer.__tablename__: _read_leave_answers,
}
_TABLES_WITH_ROWS = text(
    " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name} WHERE student_id = ANY (CAST(:ids AS uuid[])))"  # noqa: S608
        for name in _READERS
    )
)
"""The tables that have rows about the students. Most students have none, and one query is cheaper than twelve."""


async def _load_acts(session: AsyncSession, ids: Collection[UUID]) -> _Acts:
    await session.flush()  # a textual statement does not autoflush
    acts = _Acts()
    for name in await session.scalars(_TABLES_WITH_ROWS, {"ids": list(ids)}):
        await _READERS[name](session, ids, acts)
    return acts
