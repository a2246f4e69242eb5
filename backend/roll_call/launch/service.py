"""Launch: checks authority and window, and freezes everything the roll call depends on (HN334-3.4)."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, exists, func, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.campus.queries import effective_versions
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.org.paths import division_of
from backend.roll_call.errors import AudienceEmpty, LaunchUnconfirmed
from backend.roll_call.events import RollCallLaunched
from backend.roll_call.launch.audience import OBLIGATION_COLUMNS, select_obligations
from backend.roll_call.launch.checks import (
    LaunchPlan,
    LaunchRollCall,
    check_window,
    find_overlap,
    plan_launch,
    select_owing_students,
)
from backend.roll_call.tables import (
    Obligation,
    RollCall,
    RollCallClass,
    RollCallSchool,
    RollCallSite,
)

_LAUNCH_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('roll_call.launch'))")


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
    """Launch a roll call. Raises if authority, window, term, overlap or audience do not permit it.

    `preview_launch` shows what this would do, by the same checks.
    """
    plan = await plan_launch(session, actor, command, at)
    window = await check_window(session, plan)
    for problem in window.problems:
        raise problem
    await session.execute(_LAUNCH_LOCK)
    roll_call = build_roll_call(plan, actor, window.term_code or "")
    session.add(roll_call)
    await session.flush()
    await session.refresh(roll_call, ["extended_until"])
    launched = await _freeze_audience(session, roll_call, plan)
    overlap = await find_overlap(session, roll_call, select_owing_students(roll_call))
    if overlap is not None:
        raise overlap
    if plan.needs_confirmation(launched.owed + launched.excused) and not command.confirmed:
        raise LaunchUnconfirmed(students=launched.owed + launched.excused, limit=plan.confirmation_limit)
    await _record_launch(session, launched, at)
    return launched


def build_roll_call(plan: LaunchPlan, actor: Actor, term_code: str) -> RollCall:
    """The row of a plan. A sample without a seed gets one."""
    command, window = plan.command, plan.window
    return RollCall(
        id=new_id(),
        kind=command.kind,
        title=command.title,
        launcher_id=plan.launcher.id,
        launcher_path=plan.launcher.path,
        launched_by=actor.account_id,
        term_code=term_code,
        audience=command.audience.as_json(),
        seed=(command.seed or secrets.token_hex(16)) if command.audience.sample else None,
        place=division_of(plan.launcher.path),
        policy_version=plan.policy.version,
        launched_at=window.launched_at,
        notify_at=window.notify_at,
        opens_at=window.opens_at,
        closes_at=window.closes_at,
        frames_until=window.closes_at + plan.policy.duration("verification.frames.grace"),
    )


async def _record_launch(session: AsyncSession, launched: Launched, at: datetime) -> None:
    roll_call_id, path = str(launched.roll_call.id), launched.roll_call.launcher_path
    counts = {"owed": launched.owed, "excused": launched.excused, "exempt": launched.exempt}
    act = audit.Act("roll_call.launch", "roll_call", roll_call_id, path, after=counts)
    audit.record(session, act, at)
    await outbox.emit(session, RollCallLaunched(roll_call_id=launched.roll_call.id, path=path), at)


async def _freeze_audience(session: AsyncSession, roll_call: RollCall, plan: LaunchPlan) -> Launched:
    students = select_obligations(plan.command.audience, plan.context(roll_call))
    await session.execute(insert(Obligation).from_select(OBLIGATION_COLUMNS, students))
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
