"""Half-yearly registration: part-time students register twice a year and owe no presence (HN334-2.2)."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.people.tables import Student
from backend.policy.installed import policy_at
from backend.roll_call.errors import RegistrationsUsedUp
from backend.roll_call.tables import HalfYearRegistration


async def register_half_year(
    session: AsyncSession, actor: Actor, place: str, at: datetime
) -> HalfYearRegistration:
    """Record the student's next registration of the calendar year. Refused once the law's maximum is reached."""
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
    registered = await session.scalar(
        select(func.count()).where(
            HalfYearRegistration.student_id == student.id, HalfYearRegistration.year == day.year
        )
    )
    allowed = policy.integer("registration.part_time.per_year")
    if (registered or 0) >= allowed:
        raise RegistrationsUsedUp(year=day.year, allowed=allowed)
    row = HalfYearRegistration(
        student_id=student.id, year=day.year, number=(registered or 0) + 1, school_id=student.school_id, at=at
    )
    session.add(row)
    after = {"year": day.year, "number": row.number}
    act = audit.Act("student.register_half_year", "student", str(student.id), actor.org_path, after=after)
    audit.record(session, act, at)
    return row
