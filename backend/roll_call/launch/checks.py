"""What must hold before a roll call is launched. The launch and its preview ask the same functions.

`plan_launch` reads what both need. The checks return the problems of a plan as errors; a launch raises the first one,
a preview shows them all.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import BadInput, DomainError, NotFound
from backend.leave.queries import ExemptionCriteria, select_students_on_leave
from backend.leave.rules import NoticedWindow
from backend.org.errors import DaysInTwoTerms, TermNotSet
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.org.terms import find_vacation_days, require_one_term
from backend.policy import PolicyAt
from backend.policy.installed import policy_at
from backend.roll_call import rules
from backend.roll_call.errors import (
    LaunchNotPermitted,
    WindowInVacation,
    WindowInvalid,
    WindowsOverlap,
)
from backend.roll_call.launch.audience import Audience, AudienceContext, is_within
from backend.roll_call.tables import Obligation, RollCall, RollCallStep

_MINUTE = timedelta(minutes=1)
_WINDOW_REASONS = {
    "notify_in_past": ("通知时间早于当前时间", "the time of the notice is in the past"),
    "opens_before_notice": ("开始时间早于通知时间", "the window opens before the notice"),
    "too_short": ("时段不足 {minimum} 分钟", "the window is shorter than {minimum} minutes"),
    "too_long": ("时段超过 {maximum} 分钟", "the window is longer than {maximum} minutes"),
}
_PERMISSION_REASONS = {
    "kind": ("此账号不能发起这一类点名", "this account may not launch this kind"),
    "school": ("范围内有不归您发起的学校", "the audience includes a school that you may not check"),
}


@dataclass(frozen=True, slots=True)
class LaunchRollCall:
    """Command. Times are timezone-aware; `notify_at` None means immediately."""

    kind: rules.Kind
    title: str
    opens_at: datetime
    closes_at: datetime
    audience: Audience
    notify_at: datetime | None = None
    seed: str | None = None
    confirmed: bool = False
    """The launcher gave the second factor again for this launch."""


@dataclass(frozen=True, slots=True)
class WindowBounds:
    """How long a window of a kind may be."""

    minimum: timedelta
    maximum: timedelta


def window_bounds(policy: PolicyAt, kind: rules.Kind) -> WindowBounds:
    """The shortest and the longest permitted window of a kind."""
    maximum = (
        "roll_call.spot_check.window_maximum"
        if kind == rules.SPOT_CHECK
        else "roll_call.school.window_maximum"
    )
    return WindowBounds(policy.duration("roll_call.window.minimum"), policy.duration(maximum))


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A command with the units, the policy and the window that it means."""

    command: LaunchRollCall
    launcher: OrgUnit
    units: tuple[OrgUnit, ...]
    policy: PolicyAt
    window: rules.WindowTimes

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the units of the audience."""
        return tuple(unit.path for unit in self.units)

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last legal day of the window."""
        return legal_day(self.window.opens_at), legal_day(self.window.closes_at)

    @property
    def bounds(self) -> WindowBounds:
        """The shortest and the longest permitted window."""
        return window_bounds(self.policy, self.command.kind)

    @property
    def confirmation_limit(self) -> int:
        """The largest number of students that may be called without the second factor."""
        return self.policy.integer("launch.confirmation_limit")

    def needs_confirmation(self, students: int) -> bool:
        """Whether a launch for this many students who owe presence takes the second factor."""
        return students > self.confirmation_limit

    def context(self, roll_call: RollCall) -> AudienceContext:
        """The context in which the audience is selected."""
        window = NoticedWindow(self.window.notify_at, self.window.opens_at, self.window.closes_at)
        criteria = ExemptionCriteria(window, self.bounds.minimum, self.window.launched_at)
        return AudienceContext(
            roll_call.id,
            roll_call.term_code,
            self.paths,
            self.policy.texts("audience.verified_study_forms"),
            roll_call.seed or "",
            select_students_on_leave(criteria),
        )


async def plan_launch(
    session: AsyncSession, actor: Actor, command: LaunchRollCall, at: datetime
) -> LaunchPlan:
    """Read what a command means. Raises `NotFound`, `LaunchNotPermitted` and `BadInput`."""
    launcher = await session.get_one(OrgUnit, actor.org_id)
    policy = policy_at(legal_day(at), division_of(launcher.path))
    units = await _load_units(session, command.audience, launcher)
    window = rules.WindowTimes(at, command.notify_at or at, command.opens_at, command.closes_at)
    plan = LaunchPlan(command, launcher, units, policy, window)
    await _require_permission(session, actor, plan)
    sample = command.audience.sample
    if sample is not None and (sample.size is None) == (sample.share is None):
        raise BadInput(
            field="sample", reason_zh="人数与比例须且只须填写一项", reason_en="give either a size or a share"
        )
    return plan


async def _load_units(session: AsyncSession, audience: Audience, launcher: OrgUnit) -> tuple[OrgUnit, ...]:
    if not audience.unit_ids:
        return (launcher,)
    units = tuple(await session.scalars(select(OrgUnit).where(OrgUnit.id.in_(audience.unit_ids))))
    if len(units) != len(set(audience.unit_ids)):
        raise NotFound
    return units


async def _require_permission(session: AsyncSession, actor: Actor, plan: LaunchPlan) -> None:
    parent = aliased(OrgUnit)
    rows = await session.execute(
        select(OrgUnit.path, parent.path, parent.kind)
        .join(parent, parent.id == OrgUnit.parent_id)
        .where(OrgUnit.kind == "school", is_within(plan.paths))
    )
    schools = [
        rules.TargetSchool(str(path), str(parent_path), parent_kind)
        for path, parent_path, parent_kind in rows
    ]
    permissions = plan.policy.table("launch.permissions")
    objection = rules.find_launch_objection(
        permissions, plan.command.kind, actor.role, actor.org_path, schools
    )
    if objection is not None:
        zh, en = _PERMISSION_REASONS[objection]
        raise LaunchNotPermitted(reason_zh=zh, reason_en=en)


# --- the window ---


@dataclass(frozen=True, slots=True)
class CheckedWindow:
    """The term that the window lies in (None where there is no single one), and what stands against the window."""

    term_code: str | None
    problems: tuple[DomainError, ...]


async def check_window(session: AsyncSession, plan: LaunchPlan) -> CheckedWindow:
    """Check the window against the bounds, the terms and the vacations."""
    problems: list[DomainError] = list(_check_times(plan))
    term_code = None
    try:
        term_code = await require_one_term(session, plan.launcher.id, *plan.days)
    except (TermNotSet, DaysInTwoTerms) as problem:
        problems.append(problem)
    vacation = await _find_vacation(session, plan)
    if vacation is not None:
        problems.append(vacation)
    return CheckedWindow(term_code, tuple(problems))


def _check_times(plan: LaunchPlan) -> list[WindowInvalid]:
    bounds = plan.bounds
    minutes = {"minimum": bounds.minimum // _MINUTE, "maximum": bounds.maximum // _MINUTE}
    problems = []
    for objection in rules.find_window_objections(plan.window, bounds.minimum, bounds.maximum):
        zh, en = (text.format(**minutes) for text in _WINDOW_REASONS[objection])
        problems.append(WindowInvalid(reason_zh=zh, reason_en=en))
    return problems


async def _find_vacation(session: AsyncSession, plan: LaunchPlan) -> WindowInVacation | None:
    """A vacation of the launcher or of a unit that the audience names stands against the window (reading 17).

    A vacation that a single school below these units declares for itself does not stop a check of the whole area. Its
    students' misses do not count (`standing.engine.misses`).
    """
    unit_ids = (plan.launcher.id, *(unit.id for unit in plan.units))
    first, last = plan.days
    days = await find_vacation_days(session, unit_ids, first, last)
    return WindowInVacation(days=", ".join(day.isoformat() for day in days)) if days else None


# --- other roll calls ---


def select_owing_students(roll_call: RollCall) -> Select[UUID, UUID]:
    """The students of a launched roll call who owe presence, on leave or not."""
    return select(Obligation.student_id, Obligation.school_id).where(
        Obligation.term_code == roll_call.term_code,
        Obligation.roll_call_id == roll_call.id,
        Obligation.duty != "exempt",
    )


async def find_overlap(
    session: AsyncSession, roll_call: RollCall, owing: Select[UUID, UUID]
) -> WindowsOverlap | None:
    """A spot check must not overlap another one for any student of `owing` (reading 3).

    Launches are serialised by a lock, so that two concurrent ones cannot overlook each other.
    """
    if roll_call.kind != rules.SPOT_CHECK:
        return None
    voided = exists().where(RollCallStep.roll_call_id == RollCall.id, RollCallStep.step == "voided")
    overlapping = await session.execute(
        select(RollCall.id, RollCall.term_code).where(
            RollCall.id != roll_call.id,
            RollCall.kind == rules.SPOT_CHECK,
            RollCall.opens_at <= roll_call.closes_at,
            func.coalesce(RollCall.extended_until, RollCall.closes_at) >= roll_call.opens_at,
            ~voided,
        )
    )
    others = {row.id: row.term_code for row in overlapping}
    if not others:
        return None
    mine, theirs = owing.subquery("mine"), aliased(Obligation)
    students = await session.scalar(
        select(func.count(mine.c.student_id.distinct()))
        .join_from(
            mine, theirs, and_(theirs.student_id == mine.c.student_id, theirs.school_id == mine.c.school_id)
        )
        .where(
            theirs.term_code.in_(set(others.values())),
            theirs.roll_call_id.in_(others),
            theirs.duty != "exempt",
        )
    )
    return WindowsOverlap(students=students) if students else None
