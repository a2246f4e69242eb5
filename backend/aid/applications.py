"""Applying for aid, and answering: once a term for each kind, in time, by somebody else (HRSS28-3.3, MOE19-3.5)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.eligibility import duplicates, must_be_eligible, reasons_against
from backend.aid.errors import (
    AidAlreadyApplied,
    AidApplicationDecided,
    AidDeadlinePassed,
    AidReasonsMissing,
)
from backend.aid.ledger_service import hold_up_to_date, post_accounts
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
from backend.org.terms import TermView, all_terms_of, term_of
from backend.people.tables import SchoolClass, Student
from backend.policy.installed import policy_at
from backend.standing.store.lock import LockedStudent

Answer = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True)
class ApplyForClass:
    """Applications for everybody of a class, or of the school if none is named."""

    kind: AidKind
    class_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A student for whom nothing was filed, and why: a stable code and a sentence in each language."""

    student_id: UUID
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of an application for many."""

    filed: tuple[UUID, ...]
    passed: tuple[Passed, ...]


@dataclass(frozen=True, slots=True)
class DecideAid:
    """The answer to an application; a refusal says why."""

    application_id: UUID
    outcome: Answer
    reasons: str | None = None


# --- applying ---


async def apply_for_aid(
    session: AsyncSession, actor: Actor, kind: AidKind, keys: KeyRing, at: datetime
) -> AidApplication:
    """File the acting student's own application for the running term.

    Raises `TermNotSet`, `AidDeadlinePassed`, `AidIneligible` and `AidAlreadyApplied`.
    """
    if actor.role != "student" or actor.student_id is None:
        raise NotPermitted(reason_zh="由学生本人申请", reason_en="students apply for themselves here")
    student = await session.get_one(Student, actor.student_id)
    term = await term_of(session, student.school_id, legal_day(at))
    law = AidPolicy.at(legal_day(at), await _path_of(session, student.school_id))
    _must_be_in_time(law, student.programme, term, at)
    await must_be_eligible(session, student, law, keys)
    attempts = await _attempts(session, [student.id], kind, term.code)
    filed = await _insert(session, actor, kind, term.code, attempts, at)
    if not filed:
        raise AidAlreadyApplied
    _record(session, actor, "aid.applied", filed[0], {"kind": kind.value, "term": term.code}, at)
    return await session.get_one(AidApplication, filed[0])


async def apply_for_many(
    session: AsyncSession, actor: Actor, command: ApplyForClass, keys: KeyRing, at: datetime
) -> Filed:
    """File for everybody of a class or of the registrar's school whom aid is for; the others are named with why.

    Raises `NotFound`, `NotPermitted` and `TermNotSet`.
    """
    if actor.role != "registrar" or actor.school_id is None:
        raise NotPermitted(
            reason_zh="由学校管理员或学生本人申请", reason_en="the school's registrar or the student applies"
        )
    students = (await session.scalars(await _wanted(session, actor.school_id, command))).all()
    term = await term_of(session, actor.school_id, legal_day(at))
    law = AidPolicy.at(legal_day(at), actor.org_path)
    doubled = await duplicates(session, [student.id for student in students])
    passed: list[Passed] = []
    fit: list[UUID] = []
    for student in students:
        against = _objections(student, law, keys, term, at, duplicate=student.id in doubled)
        passed += [Passed(student.id, code, zh, en) for code, zh, en in against]
        if not against:
            fit.append(student.id)
    attempts = await _attempts(session, fit, command.kind, term.code)
    filed = await _insert(session, actor, command.kind, term.code, attempts, at)
    again = set(fit) - {application.student_id for application in await _of(session, filed)}
    known = AidAlreadyApplied()
    passed += [
        Passed(student_id, known.code, known.zh, known.en) for student_id in fit if student_id in again
    ]
    facts = {"kind": command.kind.value, "term": term.code, "filed": len(filed)}
    subject = command.class_id or actor.school_id
    _record(session, actor, "aid.applied_for_many", subject, facts, at)
    return Filed(tuple(filed), tuple(passed))


async def _wanted(session: AsyncSession, school_id: UUID, command: ApplyForClass) -> Select[Student]:
    wanted = select(Student).where(Student.school_id == school_id).order_by(Student.id)
    if command.class_id is None:
        return wanted
    if await session.get(SchoolClass, command.class_id) is None:
        raise NotFound
    return wanted.where(Student.class_id == command.class_id)


def _objections(
    student: Student, law: AidPolicy, keys: KeyRing, term: TermView, at: datetime, *, duplicate: bool
) -> list[tuple[str, str, str]]:
    last_day = law.last_day(student.programme, term)
    if legal_day(at) > last_day:
        late = AidDeadlinePassed(last_day=last_day.isoformat())
        return [(late.code, late.sentence("zh"), late.sentence("en"))]
    return [("aid_ineligible", zh, en) for zh, en in reasons_against(student, law, keys, duplicate=duplicate)]


def _must_be_in_time(law: AidPolicy, programme: str, term: TermView, at: datetime) -> None:
    """The last day itself is in time; there is no late entry."""
    last_day = law.last_day(programme, term)
    if legal_day(at) > last_day:
        raise AidDeadlinePassed(last_day=last_day.isoformat())


async def _attempts(
    session: AsyncSession, student_ids: Collection[UUID], kind: AidKind, term_code: str
) -> dict[UUID, int]:
    """The number of the attempt to file for each student; one whose last attempt was not refused is left out."""
    earlier = await session.execute(
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
    made = {student_id: (count, refused) for student_id, count, refused in earlier}
    return {
        student_id: made.get(student_id, (0, 0))[0] + 1
        for student_id in student_ids
        if made.get(student_id, (0, 0))[0] == made.get(student_id, (0, 0))[1]
    }


async def _insert(
    session: AsyncSession,
    actor: Actor,
    kind: AidKind,
    term_code: str,
    attempts: dict[UUID, int],
    at: datetime,
) -> Sequence[UUID]:
    """The ids of the applications that nobody else filed in the meantime."""
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
    put = insert(AidApplication).on_conflict_do_nothing()
    return (await session.scalars(put.returning(AidApplication.id), rows)).all()


async def _of(session: AsyncSession, ids: Collection[UUID]) -> Sequence[AidApplication]:
    return (await session.scalars(select(AidApplication).where(AidApplication.id.in_(ids)))).all()


async def _path_of(session: AsyncSession, school_id: UUID) -> str:
    return (await session.get_one(OrgUnit, school_id)).path


# --- answering ---


async def decide_aid(
    session: AsyncSession, actor: Actor, command: DecideAid, keys: KeyRing, at: datetime
) -> AidDecision:
    """Approve or refuse, once; by whom the law names, never by who filed it (invariant 9).

    An approval needs eligibility and time as they are now, and makes the award: its instalments follow from the
    law of the term's first day. Raises `NotFound`, `NotPermitted`, `AidApplicationDecided`, `AidReasonsMissing`,
    `AidDeadlinePassed` and `AidIneligible`.
    """
    application = await session.get(AidApplication, command.application_id)
    if application is None:
        raise NotFound
    held = (await hold_up_to_date(session, [application.student_id], at))[application.student_id]
    path = held.subject.path
    law = AidPolicy.at(legal_day(at), path)
    _must_be_approver(actor, law, application)
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
        decided_at=held.at,
    )
    if command.outcome == "approved":
        await _award(session, application, held, law, keys)
    session.add(decision)
    await session.flush()
    facts = {"outcome": command.outcome, "kind": application.kind, "term": application.term_code}
    _record(session, actor, "aid.decided", application.id, facts, held.at)
    await post_accounts(session, [held])
    payload = {
        "application_id": str(application.id),
        "school_id": str(application.school_id),
        "student_id": str(application.student_id),
        "path": path,
    }
    await outbox.emit(session, "AidDecided", payload, held.at)
    return decision


def _must_be_approver(actor: Actor, law: AidPolicy, application: AidApplication) -> None:
    if actor.role not in law.approvers:
        raise NotPermitted(
            reason_zh="资助申请由规定的审批人审批", reason_en="aid is decided by those whom the law names"
        )
    if actor.account_id == application.filed_by:
        raise NotPermitted(
            reason_zh="本人提交的申请须由他人审批", reason_en="somebody else decides on what you filed"
        )


async def _award(
    session: AsyncSession, application: AidApplication, held: LockedStudent, law: AidPolicy, keys: KeyRing
) -> None:
    student = await session.get_one(Student, application.student_id, populate_existing=True)
    terms = (await all_terms_of(session, [application.school_id]))[application.school_id]
    term = next(each for each in terms if each.code == application.term_code)
    _must_be_in_time(law, student.programme, term, held.at)
    await must_be_eligible(session, student, law, keys)
    paying = policy_at(term.starts_on, division_of(held.subject.path))
    kind = AidKind(application.kind)
    own = {"school_id": application.school_id, "student_id": application.student_id}
    session.add(
        AidAward(
            id=application.id,
            kind=application.kind,
            term_code=term.code,
            term_starts_on=term.starts_on,
            policy_version=paying.version,
            approved_at=held.at,
            **own,
        )
    )
    await session.flush()
    months = months_of_term(term.starts_on, term.ends_on)
    session.add_all(
        AidInstalment(award_id=application.id, month=part.month, fen=part.fen, **own)
        for part in instalments(kind, paying, months)
    )


def _record(
    session: AsyncSession, actor: Actor, action: str, subject: UUID, facts: dict[str, Any], at: datetime
) -> None:
    audit.record(session, audit.Act(action, "aid_application", str(subject), actor.org_path, after=facts), at)
