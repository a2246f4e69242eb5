"""What a launch would do, without doing it: the problems that would refuse it, and the numbers by school.

The checks and the selection of the audience are those of the launch (`checks.py`, `audience.py`), in a transaction that
cannot write.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.campus.queries import effective_versions
from backend.core.actor import Actor
from backend.core.errors import DomainError
from backend.identity.tables import Account
from backend.org.tables import OrgUnit
from backend.org.terms import get_all_terms
from backend.people.tables import ClassCounselor
from backend.roll_call.errors import AudienceEmpty
from backend.roll_call.launch.audience import AudienceContext, select_full_time_students, select_obligations
from backend.roll_call.launch.checks import (
    LaunchPlan,
    LaunchRollCall,
    check_window,
    find_overlap,
    plan_launch,
)
from backend.roll_call.launch.service import build_roll_call

_READ_ONLY = text("SET TRANSACTION READ ONLY")


@dataclass(slots=True)
class PreviewCounts:
    """Students of the audience. `without_counselor` and `not_activated` count those who owe presence, on leave or not.

    `full_time` is the number who would owe presence without filters and without a sample.
    A counselor counts with an active account only, as for the readiness of a school.
    """

    full_time: int = 0
    owed: int = 0
    excused: int = 0
    exempt: int = 0
    without_counselor: int = 0
    not_activated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "PreviewCounts") -> None:
        """Add the counts of a school."""
        self.full_time += other.full_time
        self.owed += other.owed
        self.excused += other.excused
        self.exempt += other.exempt
        self.without_counselor += other.without_counselor
        self.not_activated += other.not_activated
        self.reasons += other.reasons


@dataclass(frozen=True, slots=True)
class PreviewSchool:
    """A school of the audience. `in_vacation`: it has declared a vacation of its own for a day of the window."""

    id: UUID
    code: str
    name: str
    has_site: bool
    in_vacation: bool
    counts: PreviewCounts


@dataclass(frozen=True, slots=True)
class LaunchPreview:
    """The plan, what stands against it, and its numbers. `seed` draws the sample that was counted."""

    plan: LaunchPlan
    term_code: str | None
    problems: tuple[DomainError, ...]
    seed: str | None
    schools: tuple[PreviewSchool, ...]
    totals: PreviewCounts

    @property
    def needs_confirmation(self) -> bool:
        """Whether the launch takes the second factor."""
        return self.plan.needs_confirmation(self.totals.owed + self.totals.excused)


async def preview_launch(
    session: AsyncSession, actor: Actor, command: LaunchRollCall, at: datetime
) -> LaunchPreview:
    """Preview a launch at the instant `at`. Raises `NotFound`, `LaunchNotPermitted` and `BadInput` like the launch."""
    await session.execute(_READ_ONLY)
    plan = await plan_launch(session, actor, command, at)
    window = await check_window(session, plan)
    roll_call = build_roll_call(plan, actor, window.term_code or "")
    context = plan.context(roll_call)
    counts = await _count_students(session, plan, context)
    schools = await _load_schools(session, plan, counts)
    totals = PreviewCounts()
    for school in schools:
        totals.add(school.counts)
    problems = list(window.problems)
    if totals.owed + totals.excused == 0:
        problems.append(AudienceEmpty())
    students = select_obligations(command.audience, context).subquery("audience")
    owing = select(students.c.student_id, students.c.school_id).where(students.c.duty != "exempt")
    overlap = await find_overlap(session, roll_call, owing)
    if overlap is not None:
        problems.append(overlap)
    return LaunchPreview(plan, window.term_code, tuple(problems), roll_call.seed, schools, totals)


async def _count_students(
    session: AsyncSession, plan: LaunchPlan, context: AudienceContext
) -> dict[UUID, PreviewCounts]:
    by_school: defaultdict[UUID, PreviewCounts] = defaultdict(PreviewCounts)
    for school_id, duty, reason, students, uncounselled, inactive in await session.execute(
        _select_counts(plan, context)
    ):
        counts = by_school[school_id]
        setattr(counts, duty, getattr(counts, duty) + students)
        if reason is not None:
            counts.reasons[reason] += students
        counts.without_counselor += uncounselled
        counts.not_activated += inactive
    full_time = select_full_time_students(context).subquery()
    rows = await session.execute(
        select(full_time.c.school_id, func.count())
        .where(full_time.c.school_id.in_(list(by_school)))
        .group_by(full_time.c.school_id)
    )
    for school_id, students in rows:
        by_school[school_id].full_time = students
    return by_school


def _select_counts(plan: LaunchPlan, context: AudienceContext) -> Any:
    students = select_obligations(plan.command.audience, context).subquery("audience")
    owing = students.c.duty != "exempt"
    own_account = aliased(Account)
    counselled = (
        select(ClassCounselor.class_id)
        .join(own_account, own_account.counselor_id == ClassCounselor.counselor_id)
        .where(ClassCounselor.until.is_(None), own_account.status == "active")
        .distinct()
        .subquery("counselled")
    )
    return (
        select(
            students.c.school_id,
            students.c.duty,
            students.c.reason,
            func.count(),
            func.count().filter(owing, counselled.c.class_id.is_(None)),
            func.count().filter(owing, Account.id.is_(None)),
        )
        .outerjoin_from(students, counselled, counselled.c.class_id == students.c.class_id)
        .outerjoin(Account, and_(Account.student_id == students.c.student_id, Account.status == "active"))
        .group_by(students.c.school_id, students.c.duty, students.c.reason)
    )


async def _load_schools(
    session: AsyncSession, plan: LaunchPlan, counts: dict[UUID, PreviewCounts]
) -> tuple[PreviewSchool, ...]:
    units = await session.scalars(select(OrgUnit).where(OrgUnit.id.in_(list(counts))).order_by(OrgUnit.path))
    schools = units.all()
    ids = [school.id for school in schools]
    versions = effective_versions(plan.window.opens_at, ids).subquery()
    with_site = set(await session.scalars(select(versions.c.school_id)))
    pausing = await _find_schools_in_vacation(session, plan, ids)
    return tuple(
        PreviewSchool(
            school.id,
            school.code,
            school.name,
            school.id in with_site,
            school.id in pausing,
            counts[school.id],
        )
        for school in schools
    )


async def _find_schools_in_vacation(
    session: AsyncSession, plan: LaunchPlan, school_ids: Sequence[UUID]
) -> Collection[UUID]:
    first, last = plan.days
    terms = await get_all_terms(session, school_ids)
    return {
        school_id
        for school_id, views in terms.items()
        if any(
            vacation.starts_on <= last and vacation.ends_on >= first
            for view in views
            for vacation in view.vacations
        )
    }
