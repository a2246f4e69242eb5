"""Applications for aid and their decisions (HRSS28-3.3, MOE19-3.5).

A student applies once per term and kind, before the deadline. A different account decides.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.eligibility import list_ineligibility_reasons, load_duplicates, require_eligible
from backend.aid.errors import (
    AidAlreadyApplied,
    AidApplicationDecided,
    AidDeadlinePassed,
    AidReasonsMissing,
)
from backend.aid.events import AidDecided
from backend.aid.ledger_service import lock_and_update_students, post_entries
from backend.aid.policy import AidPolicy
from backend.aid.rules import AidKind, instalments, months_of_term
from backend.aid.tables import AidApplication, AidAward, AidDecision, AidInstalment
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.org.terms import TermView, get_all_terms, get_term
from backend.people.tables import SchoolClass, Student
from backend.policy.installed import policy_at
from backend.standing.store.lock import LockedStudent

Outcome = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True)
class ApplyForClass:
    """Applications for all students of a class, or of the school if `class_id` is None."""

    kind: AidKind
    class_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SkippedStudent:
    """A student for whom no application was filed, with the reason: a stable code and a text in each language."""

    student_id: UUID
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class ClassApplicationResult:
    """The ids of the filed applications, and the students for whom none was filed."""

    filed: tuple[UUID, ...]
    skipped: tuple[SkippedStudent, ...]


@dataclass(frozen=True, slots=True)
class DecideAid:
    """The decision on an application; a refusal requires reasons."""

    application_id: UUID
    outcome: Outcome
    reasons: str | None = None


# --- applying ---


async def apply_for_aid(
    session: AsyncSession, actor: Actor, kind: AidKind, keys: KeyRing, at: datetime
) -> AidApplication:
    """File the student's own application for the current term.

    Raises `TermNotSet`, `AidDeadlinePassed`, `AidIneligible` and `AidAlreadyApplied`.
    """
    if actor.role != "student" or actor.student_id is None:
        raise NotPermitted(reason_zh="由学生本人申请", reason_en="only the student applies here")
    student = await session.get_one(Student, actor.student_id)
    term = await get_term(session, student.school_id, legal_day(at))
    school = await session.get_one(OrgUnit, student.school_id)
    law = AidPolicy.at(legal_day(at), school.path)
    _require_before_deadline(law, student.programme, term, at)
    await require_eligible(session, student, law, keys)
    attempts = await _next_attempts(session, [student.id], kind, term.code)
    filed = await _insert_applications(session, actor, kind, term.code, attempts, at)
    if not filed:
        raise AidAlreadyApplied
    _record(session, actor, "aid.applied", filed[0], {"kind": kind.value, "term": term.code}, at)
    return await session.get_one(AidApplication, filed[0])


async def apply_for_class(
    session: AsyncSession, actor: Actor, command: ApplyForClass, keys: KeyRing, at: datetime
) -> ClassApplicationResult:
    """File applications for the eligible students of a class or of the registrar's school.

    The result names the other students with the reason.

    Raises `NotFound`, `NotPermitted` and `TermNotSet`.
    """
    if actor.role != "registrar" or actor.school_id is None:
        raise NotPermitted(
            reason_zh="由学校管理员或学生本人申请",
            reason_en="only the school's registrar or the student applies",
        )
    students = (await session.scalars(await _select_students(session, actor.school_id, command))).all()
    term = await get_term(session, actor.school_id, legal_day(at))
    law = AidPolicy.at(legal_day(at), actor.org_path)
    duplicates = await load_duplicates(session, [student.id for student in students])
    skipped: list[SkippedStudent] = []
    eligible: list[UUID] = []
    for student in students:
        reasons = _list_reasons(student, law, keys, term, at, duplicate=student.id in duplicates)
        skipped += [SkippedStudent(student.id, code, zh, en) for code, zh, en in reasons]
        if not reasons:
            eligible.append(student.id)
    attempts = await _next_attempts(session, eligible, command.kind, term.code)
    filed = await _insert_applications(session, actor, command.kind, term.code, attempts, at)
    filed_students = set(
        await session.scalars(select(AidApplication.student_id).where(AidApplication.id.in_(filed)))
    )
    error = AidAlreadyApplied()
    skipped += [
        SkippedStudent(student_id, error.code, error.zh, error.en)
        for student_id in eligible
        if student_id not in filed_students
    ]
    facts = {"kind": command.kind.value, "term": term.code, "filed": len(filed)}
    subject = command.class_id or actor.school_id
    _record(session, actor, "aid.applied_for_many", subject, facts, at)
    return ClassApplicationResult(tuple(filed), tuple(skipped))


async def _select_students(session: AsyncSession, school_id: UUID, command: ApplyForClass) -> Select[Student]:
    query = select(Student).where(Student.school_id == school_id).order_by(Student.id)
    if command.class_id is None:
        return query
    if await session.get(SchoolClass, command.class_id) is None:
        raise NotFound
    return query.where(Student.class_id == command.class_id)


def _list_reasons(
    student: Student, law: AidPolicy, keys: KeyRing, term: TermView, at: datetime, *, duplicate: bool
) -> list[tuple[str, str, str]]:
    last_day = law.last_day(student.programme, term)
    if legal_day(at) > last_day:
        error = AidDeadlinePassed(last_day=last_day.isoformat())
        return [(error.code, error.sentence("zh"), error.sentence("en"))]
    reasons = list_ineligibility_reasons(student, law, keys, duplicate=duplicate)
    return [("aid_ineligible", zh, en) for zh, en in reasons]


def _require_before_deadline(law: AidPolicy, programme: str, term: TermView, at: datetime) -> None:
    """Raise `AidDeadlinePassed` after the last day. The last day itself is in time."""
    last_day = law.last_day(programme, term)
    if legal_day(at) > last_day:
        raise AidDeadlinePassed(last_day=last_day.isoformat())


async def _next_attempts(
    session: AsyncSession, student_ids: Collection[UUID], kind: AidKind, term_code: str
) -> dict[UUID, int]:
    """Return the next attempt number by student; omits students whose last application was not refused."""
    rows = await session.execute(
        select(
            AidApplication.student_id,
            func.count(),
            func.count().filter(AidDecision.outcome == "refused"),
        )
        .outerjoin(AidDecision, AidDecision.application_id == AidApplication.id)
        .where(
            AidApplication.student_id.in_(student_ids),
            AidApplication.kind == kind.value,
            AidApplication.term_code == term_code,
        )
        .group_by(AidApplication.student_id)
    )
    earlier = {student_id: (count, refused) for student_id, count, refused in rows}
    attempts = {}
    for student_id in student_ids:
        count, refused = earlier.get(student_id, (0, 0))
        if count == refused:
            attempts[student_id] = count + 1
    return attempts


async def _insert_applications(
    session: AsyncSession,
    actor: Actor,
    kind: AidKind,
    term_code: str,
    attempts: dict[UUID, int],
    at: datetime,
) -> Sequence[UUID]:
    """Insert applications and return their ids; skips those that a concurrent transaction has filed."""
    rows = [
        {
            "id": new_id(),
            "school_id": actor.school_id,
            "student_id": student_id,
            "kind": kind.value,
            "term_code": term_code,
            "attempt": attempt,
            "filed_by": actor.account_id,
            "filed_at": at,
        }
        for student_id, attempt in sorted(attempts.items())
    ]
    if not rows:
        return []
    insertion = insert(AidApplication).on_conflict_do_nothing()
    return (await session.scalars(insertion.returning(AidApplication.id), rows)).all()


# --- deciding ---


async def decide_aid(
    session: AsyncSession, actor: Actor, command: DecideAid, keys: KeyRing, at: datetime
) -> AidDecision:
    """Approve or refuse an application, once. The account that filed it never decides (invariant 9).

    An approval checks eligibility and deadline again and creates the award, whose instalments follow the law of the
    term's first day. Raises `NotFound`, `NotPermitted`, `AidApplicationDecided`, `AidReasonsMissing`,
    `AidDeadlinePassed` and `AidIneligible`.
    """
    application = await session.get(AidApplication, command.application_id)
    if application is None:
        raise NotFound
    locked_students = await lock_and_update_students(session, [application.student_id], at)
    student = locked_students[application.student_id]
    path = student.subject.path
    law = AidPolicy.at(legal_day(at), path)
    _require_approver(actor, law, application)
    if await session.get(AidDecision, application.id) is not None:
        raise AidApplicationDecided
    if command.outcome == "refused" and command.reasons is None:
        raise AidReasonsMissing
    decision = AidDecision(
        application_id=application.id,
        school_id=application.school_id,
        student_id=application.student_id,
        outcome=command.outcome,
        reasons=command.reasons,
        filed_by=application.filed_by,
        decided_by=actor.account_id,
        decided_at=student.at,
    )
    if command.outcome == "approved":
        await _create_award(session, application, student, law, keys)
    session.add(decision)
    await session.flush()
    facts = {"outcome": command.outcome, "kind": application.kind, "term": application.term_code}
    _record(session, actor, "aid.decided", application.id, facts, student.at)
    await post_entries(session, [student])
    event = AidDecided(**student.event_fields, application_id=application.id)
    await outbox.emit(session, event, student.at)
    return decision


def _require_approver(actor: Actor, law: AidPolicy, application: AidApplication) -> None:
    if actor.role not in law.approvers:
        raise NotPermitted(
            reason_zh="资助申请由规定的审批人审批", reason_en="only the approvers named by law decide on aid"
        )
    if actor.account_id == application.filed_by:
        raise NotPermitted(
            reason_zh="本人提交的申请须由他人审批",
            reason_en="an application is decided by an account other than the one that filed it",
        )


async def _create_award(
    session: AsyncSession, application: AidApplication, locked: LockedStudent, law: AidPolicy, keys: KeyRing
) -> None:
    student = await session.get_one(Student, application.student_id, populate_existing=True)
    terms = (await get_all_terms(session, [application.school_id]))[application.school_id]
    term = next(each for each in terms if each.code == application.term_code)
    _require_before_deadline(law, student.programme, term, locked.at)
    await require_eligible(session, student, law, keys)
    term_law = policy_at(term.starts_on, division_of(locked.subject.path))
    kind = AidKind(application.kind)
    owner = {"school_id": application.school_id, "student_id": application.student_id}
    session.add(
        AidAward(
            id=application.id,
            kind=application.kind,
            term_code=term.code,
            term_starts_on=term.starts_on,
            policy_version=term_law.version,
            approved_at=locked.at,
            **owner,
        )
    )
    await session.flush()
    months = months_of_term(term.starts_on, term.ends_on)
    session.add_all(
        AidInstalment(award_id=application.id, month=part.month, fen=part.fen, **owner)
        for part in instalments(kind, term_law, months)
    )


def _record(
    session: AsyncSession, actor: Actor, action: str, subject: UUID, facts: dict[str, Any], at: datetime
) -> None:
    audit.record(session, audit.Act(action, "aid_application", str(subject), actor.org_path, after=facts), at)
