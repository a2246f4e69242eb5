"""Half-yearly registration: part-time students register once in each term's period and owe no presence (HN334-2.2).

Reading 21: a second registration in one period is refused; the period of the other term stays open.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.bilingual import term_words
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.org.terms import TermView, get_all_terms
from backend.people.tables import Student
from backend.policy import PolicyAt
from backend.policy.installed import policy_at
from backend.roll_call.errors import RegisteredThisTerm, RegistrationNotOpen, RegistrationsUsedUp
from backend.roll_call.tables import HalfYearRegistration


async def register_half_year(
    session: AsyncSession, actor: Actor, place: str, at: datetime
) -> HalfYearRegistration:
    """Record the student's registration for the term whose registration period includes today.

    Raises `NotPermitted` for full-time students, `RegistrationNotOpen` outside every period, `RegisteredThisTerm` for
    a second registration in one period, and `RegistrationsUsedUp` once the law's number for the year is reached.
    """
    student = await session.get(Student, actor.student_id)
    if student is None:
        raise NotFound
    day = legal_day(at)
    policy = policy_at(day, place)
    if student.study_form not in policy.texts("audience.registration_only_study_forms"):
        raise NotPermitted(
            reason_zh="全日制学生通过核验确认在校，无须此项注册",
            reason_en="full-time students prove presence by roll calls instead",
        )
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"register/{student.id}", 0))
    await session.execute(select(lock))
    terms = (await get_all_terms(session, [student.school_id]))[student.school_id]
    term = _find_open_term(terms, policy, day)
    earlier = (
        await session.scalars(
            select(HalfYearRegistration).where(HalfYearRegistration.student_id == student.id)
        )
    ).all()
    if any(registration.term_code == term.code for registration in earlier):
        raise RegisteredThisTerm(
            term_zh=term_words(term.code).zh,
            term_en=term_words(term.code).en,
            next_zh=_describe_next(terms, policy, day, "zh"),
            next_en=_describe_next(terms, policy, day, "en"),
        )
    number = 1 + sum(registration.year == day.year for registration in earlier)
    allowed = policy.integer("registration.part_time.per_year")
    if number > allowed:
        raise RegistrationsUsedUp(year=day.year, allowed=allowed)
    row = HalfYearRegistration(
        student_id=student.id,
        term_code=term.code,
        year=day.year,
        number=number,
        school_id=student.school_id,
        at=at,
    )
    session.add(row)
    await session.flush()
    after = {"term_code": term.code, "year": day.year, "number": row.number}
    act = audit.Act("student.register_half_year", "student", str(student.id), actor.org_path, after=after)
    audit.record(session, act, at)
    return row


def registration_period(term: TermView, policy: PolicyAt) -> tuple[date, date]:
    """The first and last day of the term's registration period, the same as for registration checks (HN334-4.1a)."""
    before = timedelta(days=policy.integer("roll_call.registration_opens_before_term"))
    after = timedelta(days=policy.integer("roll_call.registration_due_after_term_start"))
    return term.starts_on - before, term.starts_on + after


def _find_open_term(terms: list[TermView], policy: PolicyAt, day: date) -> TermView:
    for term in reversed(terms):
        opens, closes = registration_period(term, policy)
        if opens <= day <= closes:
            return term
    raise RegistrationNotOpen(
        next_zh=_describe_next(terms, policy, day, "zh"), next_en=_describe_next(terms, policy, day, "en")
    )


def _describe_next(terms: list[TermView], policy: PolicyAt, day: date, language: str) -> str:
    """A sentence with the next registration period on file."""
    periods = sorted(registration_period(term, policy) for term in terms)
    upcoming = next(((opens, closes) for opens, closes in periods if opens > day), None)
    if upcoming is None:
        return "下学期的注册时间尚未公布" if language == "zh" else "The next period is not set yet"
    opens, closes = upcoming
    return (
        f"下次注册时间为 {opens} 至 {closes}"
        if language == "zh"
        else f"The next period is {opens} to {closes}"
    )
