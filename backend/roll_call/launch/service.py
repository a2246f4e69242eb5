"""Launch: checks authority and window, and freezes everything the roll call depends on (HN334-3.4)."""

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, exists, func, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.campus.queries import effective_versions
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import BadInput, NotFound
from backend.core.ids import new_id
from backend.leave.queries import ExemptionCriteria, select_students_on_leave
from backend.leave.rules import NoticedWindow
from backend.org.paths import division_of
from backend.org.tables import OrgUnit
from backend.org.terms import find_vacation_days, require_one_term
from backend.policy import PolicyAt
from backend.policy.installed import policy_at
from backend.roll_call import rules
from backend.roll_call.errors import (
    AudienceEmpty,
    LaunchNotPermitted,
    WindowInVacation,
    WindowInvalid,
    WindowsOverlap,
)
from backend.roll_call.events import RollCallLaunched
from backend.roll_call.launch.audience import (
    OBLIGATION_COLUMNS,
    Audience,
    AudienceContext,
    is_within,
    select_obligations,
)
from backend.roll_call.tables import (
    Obligation,
    RollCall,
    RollCallClass,
    RollCallSchool,
    RollCallSite,
    RollCallStep,
)

_LAUNCH_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('roll_call.launch'))")

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


@dataclass(frozen=True, slots=True)
class Launched:
    """The launched roll call with its frozen counts."""

    roll_call: RollCall
    owed: int
    excused: int
    exempt: int
    schools: int
    schools_without_site: int


async def launch_roll_call(
    session: AsyncSession, actor: Actor, command: LaunchRollCall, at: datetime
) -> Launched:
    """Launch a roll call. Raises if authority, window, term, overlap or audience do not permit it."""
    launcher = await session.get_one(OrgUnit, actor.org_id)
    place = division_of(launcher.path)
    policy = policy_at(legal_day(at), place)
    units = await _load_units(session, command.audience, launcher)
    paths = tuple(unit.path for unit in units)
    await _require_permission(session, actor, policy, command.kind, paths)
    window = rules.WindowTimes(at, command.notify_at or at, command.opens_at, command.closes_at)
    _require_valid_window(window, policy, command.kind)
    days = (legal_day(window.opens_at), legal_day(window.closes_at))
    term_code = await require_one_term(session, launcher.id, *days)
    await _require_no_vacation(session, (launcher.id, *(unit.id for unit in units)), *days)

    await session.execute(_LAUNCH_LOCK)
    roll_call = RollCall(
        id=new_id(),
        kind=command.kind,
        title=command.title,
        launcher_id=launcher.id,
        launcher_path=launcher.path,
        launched_by=actor.account_id,
        term_code=term_code,
        audience=command.audience.as_json(),
        seed=(command.seed or secrets.token_hex(16)) if command.audience.sample else None,
        place=place,
        policy_version=policy.version,
        launched_at=at,
        notify_at=window.notify_at,
        opens_at=window.opens_at,
        closes_at=window.closes_at,
        frames_until=window.closes_at + policy.duration("verification.frames.grace"),
    )
    session.add(roll_call)
    await session.flush()
    await session.refresh(roll_call, ["extended_until"])
    launched = await _freeze_audience(session, roll_call, command.audience, paths, policy)
    if command.kind == rules.SPOT_CHECK:
        await _require_no_overlap(session, roll_call)
    await _record_launch(session, launched, at)
    return launched


async def _record_launch(session: AsyncSession, launched: Launched, at: datetime) -> None:
    roll_call_id, path = str(launched.roll_call.id), launched.roll_call.launcher_path
    counts = {"owed": launched.owed, "excused": launched.excused, "exempt": launched.exempt}
    act = audit.Act("roll_call.launch", "roll_call", roll_call_id, path, after=counts)
    audit.record(session, act, at)
    await outbox.emit(session, RollCallLaunched(roll_call_id=launched.roll_call.id, path=path), at)


async def _load_units(session: AsyncSession, audience: Audience, launcher: OrgUnit) -> list[OrgUnit]:
    """The units of the audience. Raises `NotFound` alike for a unit that does not exist and one outside the scope."""
    if not audience.unit_ids:
        return [launcher]
    units = list(await session.scalars(select(OrgUnit).where(OrgUnit.id.in_(audience.unit_ids))))
    if len(units) != len(set(audience.unit_ids)):
        raise NotFound
    return units


async def _require_permission(
    session: AsyncSession, actor: Actor, policy: PolicyAt, kind: rules.Kind, paths: tuple[str, ...]
) -> None:
    parent = aliased(OrgUnit)
    rows = await session.execute(
        select(OrgUnit.path, parent.path, parent.kind)
        .join(parent, parent.id == OrgUnit.parent_id)
        .where(OrgUnit.kind == "school", is_within(paths))
    )
    schools = [
        rules.TargetSchool(str(path), str(parent_path), parent_kind)
        for path, parent_path, parent_kind in rows
    ]
    objection = rules.find_launch_objection(
        policy.table("launch.permissions"), kind, actor.role, actor.org_path, schools
    )
    if objection is not None:
        zh, en = _PERMISSION_REASONS[objection]
        raise LaunchNotPermitted(reason_zh=zh, reason_en=en)


def _require_valid_window(window: rules.WindowTimes, policy: PolicyAt, kind: rules.Kind) -> None:
    minimum = policy.duration("roll_call.window.minimum")
    maximum = policy.duration(
        "roll_call.spot_check.window_maximum"
        if kind == rules.SPOT_CHECK
        else "roll_call.school.window_maximum"
    )
    objection = rules.find_window_objection(window, minimum, maximum)
    if objection is not None:
        minutes = {"minimum": minimum // _MINUTE, "maximum": maximum // _MINUTE}
        zh, en = (text.format(**minutes) for text in _WINDOW_REASONS[objection])
        raise WindowInvalid(reason_zh=zh, reason_en=en)


async def _require_no_vacation(
    session: AsyncSession, unit_ids: tuple[UUID, ...], first: date, last: date
) -> None:
    """Refuse a window that touches a vacation of the launcher or of a unit that the audience names (reading 17).

    A vacation that a single school below these units declares for itself does not stop a check of the whole area. Its
    students' misses do not count (`standing.engine.misses`).
    """
    days = await find_vacation_days(session, unit_ids, first, last)
    if days:
        raise WindowInVacation(days=", ".join(day.isoformat() for day in days))


async def _freeze_audience(
    session: AsyncSession, roll_call: RollCall, audience: Audience, paths: tuple[str, ...], policy: PolicyAt
) -> Launched:
    if audience.sample is not None and (audience.sample.size is None) == (audience.sample.share is None):
        raise BadInput(
            field="sample", reason_zh="人数与比例须且只须填写一项", reason_en="give either a size or a share"
        )
    window = NoticedWindow(roll_call.notify_at, roll_call.opens_at, roll_call.closes_at)
    students_on_leave = select_students_on_leave(
        ExemptionCriteria(window, policy.duration("roll_call.window.minimum"), roll_call.launched_at)
    )
    forms = policy.texts("audience.verified_study_forms")
    context = AudienceContext(
        roll_call.id, roll_call.term_code, paths, forms, roll_call.seed or "", students_on_leave
    )
    await session.execute(
        insert(Obligation).from_select(OBLIGATION_COLUMNS, select_obligations(audience, context))
    )
    await session.execute(_insert_classes(roll_call))
    await session.execute(_insert_schools(roll_call))
    await session.execute(_insert_sites(roll_call))
    return await _summarise(session, roll_call)


def _insert_classes(roll_call: RollCall) -> Any:
    def count_duty(duty: str) -> Any:
        return func.count(case((Obligation.duty == duty, 1)))

    counts = (
        select(
            literal(roll_call.id),
            literal(roll_call.term_code),
            Obligation.school_id,
            Obligation.class_id,
            count_duty("owed"),
            count_duty("excused"),
            count_duty("exempt"),
        )
        .where(Obligation.term_code == roll_call.term_code, Obligation.roll_call_id == roll_call.id)
        .group_by(Obligation.class_id, Obligation.school_id)
    )
    columns = ("roll_call_id", "term_code", "school_id", "class_id", "owed", "excused", "exempt")
    return insert(RollCallClass).from_select(columns, counts)


def _insert_schools(roll_call: RollCall) -> Any:
    classes = RollCallClass
    sums = (
        select(
            literal(roll_call.id),
            classes.school_id,
            func.sum(classes.owed),
            func.sum(classes.excused),
            func.sum(classes.exempt),
        )
        .where(classes.term_code == roll_call.term_code, classes.roll_call_id == roll_call.id)
        .group_by(classes.school_id)
    )
    columns = ("roll_call_id", "school_id", "owed", "excused", "exempt")
    return insert(RollCallSchool).from_select(columns, sums)


def _insert_sites(roll_call: RollCall) -> Any:
    """Freeze the site versions of the audience's schools that are in force when the window opens."""
    versions = effective_versions(roll_call.opens_at).subquery()
    schools = select(RollCallSchool.school_id).where(RollCallSchool.roll_call_id == roll_call.id)
    rows = select(
        literal(roll_call.id), literal(roll_call.term_code), versions.c.version_id, versions.c.school_id
    ).where(versions.c.school_id.in_(schools))
    columns = ("roll_call_id", "term_code", "site_version_id", "school_id")
    return insert(RollCallSite).from_select(columns, rows)


async def _summarise(session: AsyncSession, roll_call: RollCall) -> Launched:
    schools = RollCallSchool
    has_site = exists().where(
        RollCallSite.term_code == roll_call.term_code,
        RollCallSite.roll_call_id == roll_call.id,
        RollCallSite.school_id == schools.school_id,
    )
    owed, excused, exempt, total, without_site = (
        await session.execute(
            select(
                func.coalesce(func.sum(schools.owed), 0),
                func.coalesce(func.sum(schools.excused), 0),
                func.coalesce(func.sum(schools.exempt), 0),
                func.count(),
                func.count(case((~has_site, 1))),
            ).where(schools.roll_call_id == roll_call.id)
        )
    ).one()
    if owed + excused == 0:
        raise AudienceEmpty
    return Launched(roll_call, int(owed), int(excused), int(exempt), int(total), int(without_site))


async def _require_no_overlap(session: AsyncSession, roll_call: RollCall) -> None:
    """Refuse a spot check that overlaps another one for any student (reading 3).

    Launches are serialised by a lock, so that two concurrent ones cannot overlook each other.
    """
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
        return
    mine, theirs = aliased(Obligation), aliased(Obligation)
    overlapping_students = await session.scalar(
        select(func.count(mine.student_id.distinct()))
        .join(theirs, and_(theirs.student_id == mine.student_id, theirs.school_id == mine.school_id))
        .where(
            mine.term_code == roll_call.term_code,
            mine.roll_call_id == roll_call.id,
            mine.duty != "exempt",
            theirs.term_code.in_(set(others.values())),
            theirs.roll_call_id.in_(others),
            theirs.duty != "exempt",
        )
    )
    if overlapping_students:
        raise WindowsOverlap(students=overlapping_students)
