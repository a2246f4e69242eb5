"""A registrar graduates the students of a class, one by one: what is missing stops a student, not the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.audit import Act, record
from backend.core.bulk import RowResult, act_on_each
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.org.calendar_years import get_working_calendar
from backend.org.paths import division_of
from backend.people.queries import load_class
from backend.people.tables import Student
from backend.policy.installed import policy_at
from backend.registration.graduation.errors import (
    CertificateNumberTaken,
    GraduationBlocked,
    GraduationTooEarly,
)
from backend.registration.graduation.policy import graduation_law
from backend.registration.graduation.rules import (
    Blocker,
    Result,
    Timing,
    Window,
    find_blockers,
    graduation_window,
)
from backend.registration.graduation.states import load_states
from backend.registration.graduation.tables import Graduation
from backend.standing.store.event_tables import StandingEdit
from backend.standing.store.load import load_student_refs
from backend.standing.store.lock import (
    assess_locked_student,
    compute_assessments,
    lock_for_assessment,
)
from backend.standing.store.save import recompute_locked, save_assessment

ITEM = "graduation"
"""The item of the record that changes; the lock does not cover it (reading 11)."""


@dataclass(frozen=True, slots=True)
class GraduateStudent:
    """One student of the class: graduation or completion, and the number of the certificate."""

    student_id: UUID
    result: Result
    certificate_number: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A student of a class with what is missing for graduation."""

    student_id: UUID
    name: str
    blockers: tuple[Blocker, ...]
    unpaid_months: tuple[date, ...]
    certificate_number: str | None


@dataclass(frozen=True, slots=True)
class ClassGraduation:
    """The window of graduation of a class, and its students."""

    window: Window
    timing: Timing
    candidates: tuple[Candidate, ...]


async def load_class_graduation(
    session: AsyncSession, actor: Actor, class_id: UUID, leaving_on: date, at: datetime
) -> ClassGraduation:
    """The window for a day of leaving, and what each student of the class lacks. Nothing is written.

    Raises `NotFound`, `NotPermitted`, `CalendarYearMissing`.
    """
    _require_registrar(actor)
    await load_class(session, actor, class_id)
    window = await _window(session, actor.org_path, leaving_on, at)
    query = (
        select(Student.id, Student.name, Graduation.certificate_number)
        .outerjoin(Graduation, Graduation.student_id == Student.id)
        .where(Student.class_id == class_id)
        .order_by(Student.name, Student.id)
    )
    rows = (await session.execute(query)).all()
    refs = await load_student_refs(session, [row.id for row in rows])
    states = await load_states(session, await compute_assessments(session, refs.values(), at), at)
    law = graduation_law(policy_at(legal_day(at), division_of(actor.org_path)))
    candidates = tuple(
        Candidate(
            student_id=row.id,
            name=row.name,
            blockers=() if row.certificate_number else find_blockers(states[row.id].state, law),
            unpaid_months=states[row.id].state.unpaid_months,
            certificate_number=row.certificate_number,
        )
        for row in rows
    )
    return ClassGraduation(window, window.timing(legal_day(at)), candidates)


async def graduate_students(
    session: AsyncSession,
    actor: Actor,
    class_id: UUID,
    leaving_on: date,
    students: Sequence[GraduateStudent],
    at: datetime,
) -> list[RowResult]:
    """Graduate students of a class, each by itself; a student who graduated before is unchanged.

    Raises `GraduationTooEarly`, `NotFound`, `NotPermitted`; a row is refused with `GraduationBlocked`,
    `CertificateNumberTaken` or `NotFound`.
    """
    _require_registrar(actor)
    await load_class(session, actor, class_id)
    window = await _window(session, actor.org_path, leaving_on, at)
    timing = window.timing(legal_day(at))
    if timing is Timing.EARLY:
        raise GraduationTooEarly(first_day=window.first_day.isoformat())
    asked = {each.student_id: each for each in students}

    async def act(student_id: UUID) -> bool:
        return await _graduate(session, actor, class_id, asked[student_id], window, at)

    results = await act_on_each(session, sorted(asked), act)
    return [results[each.student_id] for each in students]


def _require_registrar(actor: Actor) -> None:
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="毕业由学校管理员办理", reason_en="the school's registrar processes graduation"
        )


async def _window(session: AsyncSession, path: str, leaving_on: date, at: datetime) -> Window:
    law = graduation_law(policy_at(legal_day(at), division_of(path)))
    return graduation_window(leaving_on, law, await get_working_calendar(session))


async def _graduate(
    session: AsyncSession,
    actor: Actor,
    class_id: UUID,
    asked: GraduateStudent,
    window: Window,
    at: datetime,
) -> bool:
    """Graduate one student; False if the student graduated before."""
    locked = await lock_for_assessment(session, asked.student_id, at)
    student = await session.get_one(Student, asked.student_id)
    if student.class_id != class_id:
        raise NotFound
    if await session.get(Graduation, student.id) is not None:
        return False
    _, assessment = await assess_locked_student(session, locked)
    await save_assessment(session, locked, assessment)
    found = (await load_states(session, {student.id: assessment}, locked.at))[student.id]
    law = graduation_law(policy_at(legal_day(locked.at), division_of(locked.subject.path)))
    if blockers := find_blockers(found.state, law):
        raise GraduationBlocked(blockers)
    await _require_free_number(session, student.school_id, asked.certificate_number)
    edit = StandingEdit(
        id=new_id(),
        **locked.keys,
        item=ITEM,
        standing=asked.result.value,
        study_form=None,
        acting_account=actor.account_id,
        at=locked.at,
    )
    session.add(edit)
    await session.flush()
    assert found.portrait_id is not None, "without a portrait the student is blocked"
    graduation = Graduation(
        **locked.keys,
        result=asked.result.value,
        certificate_number=asked.certificate_number,
        portrait_id=found.portrait_id,
        leaving_on=window.leaving_on,
        is_late=window.timing(legal_day(locked.at)) is Timing.LATE,
        edit_id=edit.id,
        recorded_by=actor.account_id,
        at=locked.at,
    )
    session.add(graduation)
    await session.flush()
    after = {"result": graduation.result, "certificate": graduation.certificate_number}
    act = Act("student.graduated", "student", str(student.id), locked.subject.path, after=after)
    record(session, act, locked.at)
    subject = replace(locked.subject, status=assessment.status)  # before the edit, which the engine applies
    await recompute_locked(session, replace(locked, subject=subject))
    return True


async def _require_free_number(session: AsyncSession, school_id: UUID, number: str) -> None:
    taken = select(Graduation.student_id).where(
        Graduation.school_id == school_id, Graduation.certificate_number == number
    )
    if await session.scalar(taken) is not None:
        raise CertificateNumberTaken(number=number)
