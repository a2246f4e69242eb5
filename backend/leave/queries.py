"""Reading leave: who may see what, the facts as the rules take them, and who is on leave during a window."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    and_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import TSTZMULTIRANGE, TSTZRANGE
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.database import among
from backend.core.errors import NotFound
from backend.leave import rules
from backend.leave.policy import leave_policy
from backend.leave.rules import Exemption, LeaveInterval, LeaveState, LeaveTally, NoticedWindow, SchoolTerm
from backend.leave.tables import (
    LeaveCancellation,
    LeaveDecision,
    LeaveRequest,
    LeaveReturn,
    LeaveStandIn,
    LeaveStandInEnded,
)
from backend.org.calendars import working_calendar
from backend.org.tables import OrgUnit
from backend.org.terms import TermView, term_of
from backend.people.queries import classes_of_counselor
from backend.people.tables import ClassCounselor, Student

LEAVE_FILES = "leave_request"
"""What attachments hang on that go with a request."""


@dataclass(frozen=True, slots=True)
class Leave:
    """A request with all that became of it."""

    request: LeaveRequest
    decision: LeaveDecision | None
    cancellation: LeaveCancellation | None
    homecoming: LeaveReturn | None

    @property
    def interval(self) -> LeaveInterval:
        """The facts as the rules take them."""
        decision, homecoming = self.decision, self.homecoming
        approved = decision is not None and decision.outcome == "approved"
        decided_at = decision.decided_at if decision else None
        return LeaveInterval(
            leave_id=str(self.request.id),
            filed_at=self.request.filed_at,
            starts_at=self.request.starts_at,
            ends_at=self.request.ends_at,
            approved_at=decided_at if approved else None,
            refused_at=None if approved else decided_at,
            cancelled_at=self.cancellation.cancelled_at if self.cancellation else None,
            returned_at=homecoming.returned_at if homecoming else None,
            return_recorded_at=homecoming.recorded_at if homecoming else None,
        )

    def state(self, at: datetime) -> LeaveState:
        """What the leave is now, by all that is recorded: a turn's instant may lie a tick ahead of the clock."""
        facts = self.interval
        return facts.state(max(at, *facts.instants())) or LeaveState.PENDING


def leaves() -> Select[*tuple[Any, ...]]:
    """Every request that the scope admits, with what became of it."""
    return (
        select(LeaveRequest, LeaveDecision, LeaveCancellation, LeaveReturn)
        .outerjoin(LeaveDecision, LeaveDecision.leave_id == LeaveRequest.id)
        .outerjoin(LeaveCancellation, LeaveCancellation.leave_id == LeaveRequest.id)
        .outerjoin(LeaveReturn, LeaveReturn.leave_id == LeaveRequest.id)
    )


# --- who may see what ---


def stands_in(at: datetime) -> ColumnElement[bool]:
    """The condition, over a row of `LeaveStandIn`, that it holds at the instant."""
    ended = exists().where(
        LeaveStandInEnded.arrangement_id == LeaveStandIn.id, LeaveStandInEnded.ended_at <= at
    )
    return and_(LeaveStandIn.starts_at <= at, LeaveStandIn.ends_at > at, ~ended)


def standing_in(stand_in_id: UUID | None, at: datetime) -> Select[UUID]:
    """The counselors in whose place this one decides at the instant."""
    return select(LeaveStandIn.counselor_id).where(LeaveStandIn.stand_in_id == stand_in_id, stands_in(at))


def classes_in_care(actor: Actor, class_id: ColumnElement[UUID], at: datetime) -> ColumnElement[bool]:
    """Limits a counselor to the own classes and, while standing in for a colleague, to the colleague's."""
    if actor.role != "counselor":
        return true() if actor.role == "registrar" else false()
    others = select(ClassCounselor.class_id).where(
        ClassCounselor.counselor_id.in_(standing_in(actor.counselor_id, at)), ClassCounselor.until.is_(None)
    )
    return or_(class_id.in_(classes_of_counselor(actor.counselor_id)), class_id.in_(others))


async def leave_for(session: AsyncSession, actor: Actor, leave_id: UUID, at: datetime) -> Leave:
    """One request, if it is the student's own or in the care of the staff; else `NotFound`, whatever the cause."""
    found = (await session.execute(_seen_by(actor, at).where(LeaveRequest.id == leave_id))).one_or_none()
    if found is None:
        raise NotFound
    return Leave(*found)


def _seen_by(actor: Actor, at: datetime) -> Select[*tuple[Any, ...]]:
    if actor.role == "student":
        return leaves().where(LeaveRequest.student_id == actor.student_id)
    joined = leaves().join(Student, Student.id == LeaveRequest.student_id)
    return joined.where(classes_in_care(actor, Student.class_id.expression, at))


@dataclass(frozen=True, slots=True)
class LeaveSearch:
    """Which requests; what is not given narrows nothing."""

    state: LeaveState | None = None
    class_id: UUID | None = None
    student_id: UUID | None = None


_STATES: dict[LeaveState, ColumnElement[bool]] = {
    LeaveState.CANCELLED: LeaveCancellation.leave_id.is_not(None),
    LeaveState.REFUSED: and_(LeaveCancellation.leave_id.is_(None), LeaveDecision.outcome == "declined"),
    LeaveState.PENDING: and_(LeaveCancellation.leave_id.is_(None), LeaveDecision.leave_id.is_(None)),
    LeaveState.RETURNED: and_(LeaveCancellation.leave_id.is_(None), LeaveReturn.leave_id.is_not(None)),
    LeaveState.APPROVED: and_(
        LeaveCancellation.leave_id.is_(None),
        LeaveReturn.leave_id.is_(None),
        LeaveDecision.outcome == "approved",
    ),
}
"""The states of `LeaveInterval.state` at the present, for filtering a list."""


async def leaves_page(
    session: AsyncSession,
    actor: Actor,
    search: LeaveSearch,
    at: datetime,
    before: UUID | None,
    limit: int,
) -> Sequence[Leave]:
    """At most `limit` requests that the caller may see, newest first, older than the id `before`."""
    page = _seen_by(actor, at).order_by(LeaveRequest.id.desc()).limit(limit)
    if search.state is not None:
        page = page.where(_STATES[search.state])
    if search.class_id is not None:
        page = page.where(Student.class_id == search.class_id)
    if search.student_id is not None:
        page = page.where(LeaveRequest.student_id == search.student_id)
    if before is not None:
        page = page.where(LeaveRequest.id < before)
    return [Leave(*row) for row in await session.execute(page)]


async def student_in_care(session: AsyncSession, actor: Actor, student_id: UUID, at: datetime) -> None:
    """Raises `NotFound` unless the student is in the care of the staff."""
    cared = select(Student.id).where(
        Student.id == student_id, classes_in_care(actor, Student.class_id.expression, at)
    )
    if await session.scalar(cared) is None:
        raise NotFound


# --- the days of a term (HN334-3.5b, reading 4) ---


async def intervals(session: AsyncSession, student_ids: Collection[UUID]) -> dict[UUID, list[LeaveInterval]]:
    """All leave of each student, as the rules take it."""
    found: dict[UUID, list[LeaveInterval]] = {student_id: [] for student_id in student_ids}
    rows = await session.execute(leaves().where(among(LeaveRequest.student_id, student_ids)))
    for leave in (Leave(*row) for row in rows):
        found[leave.request.student_id].append(leave.interval)
    return found


async def tally_of(
    session: AsyncSession, student_id: UUID, at: datetime, day: date | None = None
) -> LeaveTally:
    """The student's leave in the term that holds `day` (today if not said); raises `NotFound`, `TermNotSet`."""
    school = await session.scalar(
        select(OrgUnit).join(Student, Student.school_id == OrgUnit.id).where(Student.id == student_id)
    )
    if school is None:
        raise NotFound
    term = _school_term(await term_of(session, school.id, day or legal_day(at)))
    held = (await intervals(session, [student_id]))[student_id]
    law = leave_policy(legal_day(at), school.path)
    return rules.tally(held, term, at, law, await working_calendar(session))


def _school_term(term: TermView) -> SchoolTerm:
    pauses = tuple((each.starts_on, each.ends_on) for each in term.vacations)
    return SchoolTerm(term.code, term.starts_on, term.ends_on, pauses)


# --- a window (HN334-3.5a, reading 6) ---


@dataclass(frozen=True, slots=True)
class Reach:
    """What leave is held against: a noticed window, and the least that leave may leave of it.

    Facts later than `as_of` do not exist.
    """

    window: NoticedWindow
    minimum: timedelta
    as_of: datetime


def on_leave(reach: Reach) -> Select[UUID]:
    """The students whose approved leave exempts them from the window, as `rules.exempts` says it, for any number.

    At a launch `as_of` is the launch itself, so nothing that comes after it alters what it froze (invariant 10). The
    settlement asks again as of the notice, which is the law's boundary.
    """
    window = reach.window
    span = _spans(reach.as_of).subquery("span")
    taken = (
        select(
            span.c.student_id,
            func.range_agg(
                func.tstzrange(span.c.starts_at, span.c.ends_at, type_=TSTZRANGE()), type_=TSTZMULTIRANGE()
            ).label("taken"),
        )
        .where(
            span.c.starts_at < span.c.ends_at,
            span.c.starts_at < window.closes_at,
            span.c.ends_at > window.opens_at,
        )
        .group_by(span.c.student_id)
        .subquery("taken")
    )
    whole = func.tstzmultirange(func.tstzrange(window.opens_at, window.closes_at), type_=TSTZMULTIRANGE())
    free = func.unnest(whole.op("-")(taken.c.taken)).column_valued("free")
    instant = DateTime(timezone=True)
    length = func.upper(free, type_=instant) - func.lower(free, type_=instant)
    return select(taken.c.student_id).where(
        ~exists(select(literal(1)).where(length >= literal(reach.minimum)))
    )


def _spans(as_of: datetime) -> Select[*tuple[Any, ...]]:
    """Student, beginning and end of every approved leave as it is known at the instant (`LeaveInterval.span`)."""
    ended = func.least(
        LeaveRequest.ends_at,
        LeaveReturn.returned_at,
        LeaveCancellation.cancelled_at,
        type_=DateTime(timezone=True),
    )
    return (
        select(LeaveRequest.student_id, LeaveRequest.starts_at, ended.label("ends_at"))
        .join(
            LeaveDecision,
            and_(
                LeaveDecision.leave_id == LeaveRequest.id,
                LeaveDecision.outcome == "approved",
                LeaveDecision.decided_at <= as_of,
            ),
        )
        .outerjoin(
            LeaveReturn,
            and_(LeaveReturn.leave_id == LeaveRequest.id, LeaveReturn.recorded_at <= as_of),
        )
        .outerjoin(
            LeaveCancellation,
            and_(
                LeaveCancellation.leave_id == LeaveRequest.id,
                LeaveCancellation.cancelled_at <= as_of,
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class LeaveClaim:
    """Leave over a window that did not exempt at the notice: a reason to be judged, not a right (reading 6)."""

    student_id: UUID
    leave_id: UUID
    kind: str
    starts_at: datetime
    ends_at: datetime
    filed_at: datetime
    approved_at: datetime | None
    after_notice: bool
    """Filed or approved after the notice. False: it stood before, but did not suffice without one that came after."""


@dataclass(frozen=True, slots=True)
class ClaimsPage:
    """Claims by student; `further` is the student behind whom the next page begins, None on the last."""

    items: Sequence[LeaveClaim]
    further: UUID | None


async def claims_page(
    session: AsyncSession,
    owing: Select[UUID],
    reach: Reach,
    after: UUID | None,
    limit: int,
) -> ClaimsPage:
    """Leave of those who owe presence that would excuse them had it stood at the notice.

    A page looks at no more than `limit` students with leave over the window, behind the id `after`.
    """
    window = reach.window
    near = and_(LeaveRequest.starts_at < window.closes_at, LeaveRequest.ends_at > window.opens_at)
    students = (
        select(LeaveRequest.student_id)
        .where(near, LeaveRequest.student_id.in_(owing))
        .distinct()
        .order_by(LeaveRequest.student_id)
        .limit(limit + 1)
    )
    if after is not None:
        students = students.where(LeaveRequest.student_id > after)
    ids = (await session.scalars(students)).all()
    shown = ids[:limit]
    held: dict[UUID, list[Leave]] = {student_id: [] for student_id in shown}
    rows = await session.execute(
        leaves().where(near, LeaveRequest.student_id.in_(shown)).order_by(LeaveRequest.id)
    )
    for leave in (Leave(*row) for row in rows):
        held[leave.request.student_id].append(leave)
    found = [claim for each in held.values() for claim in _claims(each, reach)]
    return ClaimsPage(found, shown[-1] if len(ids) > limit else None)


def _claims(held: Sequence[Leave], reach: Reach) -> Iterable[LeaveClaim]:
    as_of = reach.as_of
    intervals = [leave.interval for leave in held]
    if rules.exempts(intervals, reach.window, reach.minimum, as_of) is not Exemption.CLAIM:
        return
    for leave in held:
        request, facts = leave.request, leave.interval
        if facts.state(as_of) in {LeaveState.REFUSED, LeaveState.CANCELLED}:
            continue
        approved_at = facts.approved_at
        yield LeaveClaim(
            student_id=request.student_id,
            leave_id=request.id,
            kind=request.kind,
            starts_at=request.starts_at,
            ends_at=request.ends_at,
            filed_at=request.filed_at,
            approved_at=approved_at,
            after_notice=approved_at is None or approved_at > reach.window.notified_at,
        )
