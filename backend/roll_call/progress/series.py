"""The curve of a roll call: the outcomes of a unit over time, from the minutes that the database keeps by school."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.org.queries import get_unit_in_subtree, schools_below
from backend.roll_call.access import access_roll_call
from backend.roll_call.progress.counters import OUTCOMES
from backend.roll_call.tables import (
    OutcomeCountPending,
    OutcomeMinute,
    RollCall,
    RollCallSchool,
    RollCallStep,
)

MAX_STEPS = 240
"""A curve has no more steps than this; a longer roll call has longer steps."""
STEPS = tuple(timedelta(minutes=each) for each in (1, 2, 5, 10, 15, 30, 60, 180, 360, 720, 1440))
_LONGEST = timedelta(days=1)

Counts = tuple[int, int, int, int]
"""Numbers by outcome, in the order of `Outcome`."""
_NONE: Counts = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Change:
    """How the outcomes changed in the step that began at an instant."""

    at: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The outcomes at an instant: present, missed, excused, undetermined."""

    at: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class Curve:
    """The outcomes of a unit from the opening until now or the settlement, one point at each end of a step."""

    unit_id: UUID
    unit_name: str
    obligations: int
    step: timedelta
    points: list[CurvePoint]


def choose_step(length: timedelta) -> timedelta:
    """The shortest step that divides a period into at most `MAX_STEPS`; whole days if even a day is too short."""
    for step in STEPS:
        if length <= step * MAX_STEPS:
            return step
    return _LONGEST * (length // (_LONGEST * MAX_STEPS) + 1)


def accumulate(
    changes: Iterable[Change], begin: datetime, end: datetime, step: timedelta
) -> list[CurvePoint]:
    """The sums at `begin`, at the end of each step, and at `end`.

    A change counts at the end of its step. A change before `begin` is part of the first point, one from `end` on of none.
    The last step may be shorter.
    """
    ordered = sorted(changes, key=lambda change: change.at)
    points, counts, position = [CurvePoint(begin, _NONE)], _NONE, 0
    while position < len(ordered) and ordered[position].at < begin:
        counts, position = _add(counts, ordered[position].counts), position + 1
    points[0] = CurvePoint(begin, counts)
    at = begin
    while at < end:
        at = min(at + step, end)
        while position < len(ordered) and ordered[position].at < at:
            counts, position = _add(counts, ordered[position].counts), position + 1
        points.append(CurvePoint(at, counts))
    return points


def _add(one: Counts, other: Counts) -> Counts:
    present, missed, excused, undetermined = (a + b for a, b in zip(one, other, strict=True))
    return present, missed, excused, undetermined


async def load_curve(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, unit_id: UUID | None, at: datetime
) -> Curve:
    """The curve of a unit, by default of the caller's own. It ends now, or with the settlement.

    Corrections after the settlement are in the totals only. Raises `NotFound`, and `NotPermitted` for a counselor: the
    minutes are kept by school.
    """
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    unit = await get_unit_in_subtree(session, actor, unit_id or actor.org_id)
    if actor.role == "counselor":
        raise NotPermitted(
            reason_zh="曲线按学校统计，辅导员请看本班名单",
            reason_en="the curve is kept by school; a counselor has the list of the own classes",
        )
    settled = await session.get(RollCallStep, (roll_call_id, "settled"))
    # The outcomes of a settlement carry its instant, and belong to the curve.
    end = max(roll_call.opens_at, settled.at + timedelta(microseconds=1) if settled else at)
    step = choose_step(end - roll_call.opens_at)
    changes = await _load_changes(session, roll_call, unit.path, end)
    obligations = await session.scalar(
        select(func.coalesce(func.sum(RollCallSchool.owed + RollCallSchool.excused), 0)).where(
            RollCallSchool.roll_call_id == roll_call_id,
            RollCallSchool.school_id.in_(schools_below(unit.path)),
        )
    )
    points = accumulate(changes, roll_call.opens_at, end, step)
    return Curve(unit.id, unit.name, int(obligations or 0), step, points)


async def _load_changes(
    session: AsyncSession, roll_call: RollCall, path: str, end: datetime
) -> Sequence[Change]:
    """The changes by minute of all schools of a unit together, those that were not flushed yet included."""
    tables = (OutcomeMinute, OutcomeCountPending)
    by_minute = union_all(
        *(
            select(table.minute, *(getattr(table, outcome).label(outcome) for outcome in OUTCOMES)).where(
                table.roll_call_id == roll_call.id, table.school_id.in_(schools_below(path))
            )
            for table in tables
        )
    ).subquery()
    rows = await session.execute(
        select(by_minute.c.minute, *(func.sum(by_minute.c[outcome]) for outcome in OUTCOMES))
        .where(by_minute.c.minute < end)
        .group_by(by_minute.c.minute)
        .order_by(by_minute.c.minute)
    )
    return [Change(minute, (int(a), int(b), int(c), int(d))) for minute, a, b, c, d in rows]
