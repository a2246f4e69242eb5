"""Reading what is recorded of students into the facts that the rules take. A few statements for any number."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.database import among
from backend.leave.queries import intervals
from backend.leave.rules import SchoolTerm
from backend.org.calendars import years_loaded_late
from backend.org.paths import superior_paths
from backend.org.tables import OrgUnit
from backend.org.terms import all_terms_of
from backend.people.tables import Student
from backend.roll_call.facts_for_standing import RollCallFacts, load_roll_call_facts
from backend.standing.engine.facts import (
    Acknowledgement,
    Appeal,
    Attendance,
    CalendarYearLoaded,
    Decision,
    Edit,
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
from backend.standing.store import tables


@dataclass(frozen=True, slots=True)
class StudentRef:
    """A student as standing sees one: the school with its path, and the status on the roll now."""

    student_id: UUID
    school_id: UUID
    path: str
    status: Status


async def load_student_refs(session: AsyncSession, student_ids: Collection[UUID]) -> dict[UUID, StudentRef]:
    """The students that the scope admits."""
    rows = await session.execute(
        select(Student.id, Student.school_id, OrgUnit.path, Student.standing, Student.study_form)
        .join(OrgUnit, OrgUnit.id == Student.school_id)
        .where(among(Student.id, student_ids))
    )
    return {
        student_id: StudentRef(student_id, school_id, path, Status(standing, study_form))
        for student_id, school_id, path, standing, study_form in rows
    }


async def load_facts(session: AsyncSession, asked: Collection[StudentRef]) -> dict[UUID, StudentFacts]:
    """Everything recorded of each student; what is later than an "as of" is left out by the rules."""
    ids = [subject.student_id for subject in asked]
    schools = {subject.school_id: subject.path for subject in asked}
    terms = await _terms(session, schools)
    outages = await _outages(session, schools)
    loads = tuple(
        CalendarYearLoaded(year, at) for year, at in sorted((await years_loaded_late(session)).items())
    )
    checks = await load_roll_call_facts(session, {each.student_id: each.school_id for each in asked})
    leaves = await intervals(session, ids)
    acts = await _acts(session, ids)
    return {
        subject.student_id: StudentFacts(
            student_id=str(subject.student_id),
            initial=acts.origins.get(subject.student_id, subject.status),
            terms=terms[subject.school_id],
            checks=tuple(_check(check) for check in checks[subject.student_id]),
            leaves=tuple(leaves[subject.student_id]),
            claims=tuple(acts.claims[subject.student_id]),
            outages=outages[subject.school_id],
            attendance=tuple(acts.attendance[subject.student_id]),
            deliveries=tuple(acts.deliveries[subject.student_id]),
            decisions=tuple(acts.decisions[subject.student_id]),
            acknowledgements=tuple(acts.acknowledgements[subject.student_id]),
            appeals=tuple(acts.appeals[subject.student_id]),
            reversals=tuple(acts.reversals[subject.student_id]),
            edits=tuple(acts.edits[subject.student_id]),
            approvals=tuple(acts.approvals[subject.student_id]),
            calendar_loads=loads,
        )
        for subject in asked
    }


def _check(check: RollCallFacts) -> RollCallFact:
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
    )


async def _terms(session: AsyncSession, schools: Collection[UUID]) -> dict[UUID, tuple[SchoolTerm, ...]]:
    found = await all_terms_of(session, schools)
    return {
        school_id: tuple(
            SchoolTerm(
                view.code,
                view.starts_on,
                view.ends_on,
                tuple((pause.starts_on, pause.ends_on) for pause in view.vacations),
            )
            for view in views
        )
        for school_id, views in found.items()
    }


async def _outages(session: AsyncSession, schools: dict[UUID, str]) -> dict[UUID, tuple[Outage, ...]]:
    """Declared for the school itself or for any unit above it."""
    above = {school_id: superior_paths(path) for school_id, path in schools.items()}
    outage, ended, decision = tables.OutageRecord, tables.OutageEnded, tables.OutageDecision
    rows = await session.execute(
        select(outage, ended, decision)
        .outerjoin(ended, ended.outage_id == outage.id)
        .outerjoin(decision, decision.outage_id == outage.id)
        .where(outage.org_path.in_({path for paths in above.values() for path in paths}))
        .order_by(outage.starts_at, outage.id)
    )
    by_path: dict[str, list[Outage]] = defaultdict(list)
    for row, over, answer in rows:
        by_path[row.org_path].append(
            Outage(
                outage_id=str(row.id),
                declared_at=row.declared_at,
                starts_at=row.starts_at,
                ends_at=row.ends_at or (over.ends_at if over else row.lapses_at),
                end_recorded_at=over.recorded_at if over and row.ends_at is None else None,
                decided_at=answer.at if answer else None,
                approved=bool(answer and answer.approved),
            )
        )
    return {
        school_id: tuple(outage for path in paths for outage in by_path[path])
        for school_id, paths in above.items()
    }


@dataclass(slots=True)
class _Acts:
    """What people recorded, by student."""

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


async def _read_claims(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """With their answers."""
    claim, answer = tables.ReasonClaimRecord, tables.ClaimDecision
    for row, given in await session.execute(
        select(claim, answer)
        .outerjoin(answer, answer.claim_id == claim.id)
        .where(among(claim.student_id, ids))
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
                decided_at=given.at if given else None,
                accepted=bool(given and given.accepted),
            )
        )


async def _read_appeals(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """With their ends."""
    appeal, decided, withdrawn = tables.AppealFiled, tables.AppealDecided, tables.AppealWithdrawn
    for filed, end, taken_back_at in await session.execute(
        select(appeal, decided, withdrawn.at)
        .outerjoin(decided, decided.appeal_id == appeal.id)
        .outerjoin(withdrawn, withdrawn.appeal_id == appeal.id)
        .where(among(appeal.student_id, ids))
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
                decided_at=end.at if end else taken_back_at,
                upheld=bool(end and end.upheld),
                finding=end.finding if end else "excused",
            )
        )


async def _read_attendance(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """What counselors wrote down."""
    entry = tables.AttendanceEntry
    for seen in await session.scalars(
        select(entry).where(among(entry.student_id, ids)).order_by(entry.at, entry.id)
    ):
        acts.attendance[seen.student_id].append(
            Attendance(str(seen.id), seen.at, seen.present, seen.recorded_at)
        )


async def _read_deliveries(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """When prompts reached the school."""
    delivered = tables.PromptDelivered
    for row in await session.scalars(
        select(delivered).where(among(delivered.student_id, ids)).order_by(delivered.at, delivered.prompt_id)
    ):
        acts.deliveries[row.student_id].append(PromptDelivery(str(row.prompt_id), row.at))


async def _read_decisions(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """With the superior's answers to dismissals."""
    decision, answer = tables.PromptDecision, tables.DismissalAnswer
    for made, given in await session.execute(
        select(decision, answer)
        .outerjoin(answer, answer.decision_id == decision.id)
        .where(among(decision.student_id, ids))
        .order_by(decision.at, decision.id)
    ):
        acts.decisions[made.student_id].append(
            Decision(
                decision_id=str(made.id),
                prompt_id=str(made.prompt_id),
                at=made.at,
                by=str(made.decided_by),
                role=made.role,
                outcome=made.outcome,
                reasons=made.reasons,
                found_reason=made.found_reason,
                found_text=made.found_text,
            )
        )
        if given is not None:
            acts.acknowledgements[made.student_id].append(
                Acknowledgement(str(made.id), given.at, str(given.answered_by), given.accepted)
            )


async def _read_origins(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """The status before the ledger."""
    origin = tables.StandingOrigin
    for start in await session.scalars(select(origin).where(among(origin.student_id, ids))):
        acts.origins[start.student_id] = Status(start.standing, start.study_form)


async def _read_edits(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """Corrections of the roll."""
    edit = tables.StandingEdit
    for row in await session.scalars(
        select(edit).where(among(edit.student_id, ids)).order_by(edit.at, edit.id)
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
    """The province's."""
    approved = tables.ProvinceApproved
    for given in await session.scalars(
        select(approved).where(among(approved.student_id, ids)).order_by(approved.at)
    ):
        acts.approvals[given.student_id].append(ProvinceApproval(str(given.request_id), given.at))


async def _read_reversals(session: AsyncSession, ids: Collection[UUID], acts: _Acts) -> None:
    """One step taken back."""
    taken_back = tables.ChangeReversed
    for undone in await session.scalars(
        select(taken_back).where(among(taken_back.student_id, ids)).order_by(taken_back.at)
    ):
        acts.reversals[undone.student_id].append(
            Reversal(
                reversal_id=str(undone.id),
                change_id=str(undone.change_id),
                at=undone.at,
                by=str(undone.reversed_by),
                reasons=undone.reasons,
            )
        )


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
}
_THERE = text(
    " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name} WHERE student_id = ANY (CAST(:ids AS uuid[])))"  # noqa: S608
        for name in _READERS
    )
)
"""Where there is anything: of most students nobody recorded anything yet, and asking once costs less than nine times."""


async def _acts(session: AsyncSession, ids: Collection[UUID]) -> _Acts:
    await session.flush()  # the statement below is not the mapper's, which would see to it
    acts = _Acts()
    for name in await session.scalars(_THERE, {"ids": list(ids)}):
        await _READERS[name](session, ids, acts)
    return acts
