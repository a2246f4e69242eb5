"""Reading leave: access, the facts that the rules need, and which students are on leave during a window."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
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
from backend.core.database import equals_any
from backend.core.errors import NotFound
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.identity.recipients import responsible_counselor_ids
from backend.leave import rules
from backend.leave.policy import leave_policy
from backend.leave.rules import Exemption, LeaveBalance, LeaveInterval, LeaveState, NoticedWindow, SchoolTerm
from backend.leave.tables import (
    LeaveCancellation,
    LeaveDecision,
    LeaveRequest,
    LeaveReturn,
    LeaveStandIn,
    LeaveStandInEnded,
)
from backend.org.calendar_years import get_working_calendar
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.org.terms import TermView, get_term
from backend.people.queries import classes_of_counselor
from backend.people.tables import ClassCounselor, Student

LEAVE_ATTACHMENTS = "leave_request"
"""The attachment owner type of leave requests."""


@dataclass(frozen=True, slots=True)
class Leave:
    """A request with its decision, cancellation and return."""

    request: LeaveRequest
    decision: LeaveDecision | None
    cancellation: LeaveCancellation | None
    return_record: LeaveReturn | None

    @property
    def interval(self) -> LeaveInterval:
        """The facts that the rules need."""
        decision, return_record = self.decision, self.return_record
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
            returned_at=return_record.returned_at if return_record else None,
            return_recorded_at=return_record.recorded_at if return_record else None,
        )

    def state(self, at: datetime) -> LeaveState:
        """The state by all recorded facts. An instant of a student lock may be a tick later than `at`."""
        facts = self.interval
        return facts.state(max(at, *facts.instants())) or LeaveState.PENDING


def select_leaves() -> Select[*tuple[Any, ...]]:
    """All requests in the scope, with decision, cancellation and return."""
    return (
        select(LeaveRequest, LeaveDecision, LeaveCancellation, LeaveReturn)
        .outerjoin(LeaveDecision, LeaveDecision.leave_id == LeaveRequest.id)
        .outerjoin(LeaveCancellation, LeaveCancellation.leave_id == LeaveRequest.id)
        .outerjoin(LeaveReturn, LeaveReturn.leave_id == LeaveRequest.id)
    )


# --- access ---


def stand_in_active_at(at: datetime) -> ColumnElement[bool]:
    """A condition on `LeaveStandIn`: the arrangement is in effect at the instant."""
    ended = exists().where(
        LeaveStandInEnded.arrangement_id == LeaveStandIn.id, LeaveStandInEnded.ended_at <= at
    )
    return and_(LeaveStandIn.starts_at <= at, LeaveStandIn.ends_at > at, ~ended)


def stand_ins_of_student(student_id: UUID, at: datetime) -> Select[UUID]:
    """The counselors who stand in at the instant for the counselor of the student's class."""
    return select(LeaveStandIn.stand_in_id).where(
        LeaveStandIn.counselor_id.in_(responsible_counselor_ids(student_id)), stand_in_active_at(at)
    )


def counselors_represented_by(stand_in_id: UUID | None, at: datetime) -> Select[UUID]:
    """The counselors for whom this one decides at the instant."""
    return select(LeaveStandIn.counselor_id).where(
        LeaveStandIn.stand_in_id == stand_in_id, stand_in_active_at(at)
    )


def in_visible_classes(actor: Actor, class_id: ColumnElement[UUID], at: datetime) -> ColumnElement[bool]:
    """Restrict counselors to their own classes and those of colleagues for whom they stand in."""
    if actor.role != "counselor":
        return true() if actor.role == "registrar" else false()
    others = select(ClassCounselor.class_id).where(
        ClassCounselor.counselor_id.in_(counselors_represented_by(actor.counselor_id, at)),
        ClassCounselor.until.is_(None),
    )
    return or_(class_id.in_(classes_of_counselor(actor.counselor_id)), class_id.in_(others))


async def load_leave(session: AsyncSession, actor: Actor, leave_id: UUID, at: datetime) -> Leave:
    """Load one request that the caller may see; raises `NotFound` for absent and forbidden ones alike."""
    row = (
        await session.execute(_select_visible_leaves(actor, at).where(LeaveRequest.id == leave_id))
    ).one_or_none()
    if row is None:
        raise NotFound
    return Leave(*row)


def _select_visible_leaves(actor: Actor, at: datetime) -> Select[*tuple[Any, ...]]:
    if actor.role == "student":
        return select_leaves().where(LeaveRequest.student_id == actor.student_id)
    joined = select_leaves().join(Student, Student.id == LeaveRequest.student_id)
    return joined.where(in_visible_classes(actor, Student.class_id.expression, at))


@dataclass(frozen=True, slots=True)
class LeaveSearch:
    """Filters of a list of requests; None does not filter."""

    state: LeaveState | None = None
    class_id: UUID | None = None
    student_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""


LeaveSort = Literal["filed_at", "-filed_at", "starts_at", "-starts_at"]
LEAVE_SORTS = ListSorts(
    LeaveRequest.id, {"filed_at": LeaveRequest.id, "starts_at": LeaveRequest.starts_at}, default="-filed_at"
)
"""An id begins with the time."""

_STATE_CONDITIONS: dict[LeaveState, ColumnElement[bool]] = {
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
"""`LeaveInterval.state` at the present instant, as SQL conditions for filtering."""


def select_pending_leave_ids(actor: Actor, at: datetime) -> Select[UUID]:
    """The visible requests that wait for a decision."""
    return _select_visible_leave_ids(actor, at).where(_STATE_CONDITIONS[LeaveState.PENDING])


def select_ended_leave_ids(actor: Actor, at: datetime) -> Select[UUID]:
    """The visible approved leave that is over, and whose return no one has confirmed."""
    is_over = LeaveRequest.ends_at <= at
    return _select_visible_leave_ids(actor, at).where(_STATE_CONDITIONS[LeaveState.APPROVED], is_over)


def _select_visible_leave_ids(actor: Actor, at: datetime) -> Select[UUID]:
    return _select_visible_leaves(actor, at).with_only_columns(LeaveRequest.id)


async def load_leaves_page(
    session: AsyncSession,
    actor: Actor,
    search: LeaveSearch,
    at: datetime,
    request: PageRequest,
) -> ListPage[Leave]:
    """A page of the visible requests."""
    schools = await load_school_scope(session, actor)
    page = _select_visible_leaves(actor, at).where(is_of_schools(LeaveRequest.school_id, schools))
    if search.state is not None:
        page = page.where(_STATE_CONDITIONS[search.state])
    if search.class_id is not None:
        page = page.where(Student.class_id == search.class_id)
    if search.student_id is not None:
        page = page.where(LeaveRequest.student_id == search.student_id)
    if search.matching is not None:
        page = page.where(search.matching)
    found = await load_page(session, page, LEAVE_SORTS, request)
    return found.with_rows([Leave(*row) for row in found.rows])


async def require_student_access(session: AsyncSession, actor: Actor, student_id: UUID, at: datetime) -> None:
    """Raise `NotFound` unless the caller may see the student's leave."""
    visible = select(Student.id).where(
        Student.id == student_id, in_visible_classes(actor, Student.class_id.expression, at)
    )
    if await session.scalar(visible) is None:
        raise NotFound


# --- the days of a term (HN334-3.5b, reading 4) ---


async def load_leave_intervals(
    session: AsyncSession, student_ids: Collection[UUID]
) -> dict[UUID, list[LeaveInterval]]:
    """All leave of each student, as facts for the rules."""
    intervals_of: dict[UUID, list[LeaveInterval]] = {student_id: [] for student_id in student_ids}
    rows = await session.execute(select_leaves().where(equals_any(LeaveRequest.student_id, student_ids)))
    for leave in (Leave(*row) for row in rows):
        intervals_of[leave.request.student_id].append(leave.interval)
    return intervals_of


async def load_leave_balance(
    session: AsyncSession, student_id: UUID, at: datetime, day: date | None = None
) -> LeaveBalance:
    """The student's leave days in the term of `day` (default today); raises `NotFound`, `TermNotSet`."""
    school = await session.scalar(
        select(OrgUnit).join(Student, Student.school_id == OrgUnit.id).where(Student.id == student_id)
    )
    if school is None:
        raise NotFound
    term = _school_term(await get_term(session, school.id, day or legal_day(at)))
    held = (await load_leave_intervals(session, [student_id]))[student_id]
    law = leave_policy(legal_day(at), school.path)
    return rules.count_leave_days(held, term, at, law, await get_working_calendar(session))


def _school_term(term: TermView) -> SchoolTerm:
    pauses = tuple((each.starts_on, each.ends_on) for each in term.vacations)
    return SchoolTerm(term.code, term.starts_on, term.ends_on, pauses)


# --- a window (HN334-3.5a, reading 6) ---


@dataclass(frozen=True, slots=True)
class ExemptionCriteria:
    """The window that leave must cover, and the minimum that must remain free for the student to owe presence.

    Facts later than `as_of` are ignored.
    """

    window: NoticedWindow
    minimum: timedelta
    as_of: datetime


def select_students_on_leave(reach: ExemptionCriteria) -> Select[UUID]:
    """The students whose approved leave exempts them from the window: `rules.find_exemption` as one SQL query.

    A launch uses its own instant as `as_of`, so later facts do not alter what it froze (invariant 10). The settlement
    evaluates the query again as of the notice, which is the legal boundary (reading 6).
    """
    window = reach.window
    span = _approved_spans(reach.as_of).subquery("span")
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


def _approved_spans(as_of: datetime) -> Select[*tuple[Any, ...]]:
    """Student, start and end of every approved leave as known at the instant (`LeaveInterval.span`)."""
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
class LateLeave:
    """Leave over the window that was not in force at the notice: a claim to be decided, not a right (reading 6)."""

    student_id: UUID
    leave_id: UUID
    kind: str
    starts_at: datetime
    ends_at: datetime
    filed_at: datetime
    approved_at: datetime | None
    after_notice: bool
    """Filed or approved after the notice. False: in force before, but insufficient without a later one."""


@dataclass(frozen=True, slots=True)
class LateLeavePage:
    """A page of late leave by student. `further`: the last student of this page, None on the last page."""

    items: Sequence[LateLeave]
    further: UUID | None


async def load_late_leave_page(
    session: AsyncSession,
    owing: Select[UUID],
    reach: ExemptionCriteria,
    after: UUID | None,
    limit: int,
) -> LateLeavePage:
    """Leave that would have exempted students who owe presence, had it been in force at the notice.

    A page examines at most `limit` students with leave over the window, with ids above `after`.
    """
    window = reach.window
    overlapping = and_(LeaveRequest.starts_at < window.closes_at, LeaveRequest.ends_at > window.opens_at)
    students = (
        select(LeaveRequest.student_id)
        .where(overlapping, LeaveRequest.student_id.in_(owing))
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
        select_leaves().where(overlapping, LeaveRequest.student_id.in_(shown)).order_by(LeaveRequest.id)
    )
    for leave in (Leave(*row) for row in rows):
        held[leave.request.student_id].append(leave)
    found = [claim for each in held.values() for claim in _build_claims(each, reach)]
    return LateLeavePage(found, shown[-1] if len(ids) > limit else None)


def _build_claims(held: Sequence[Leave], reach: ExemptionCriteria) -> Iterable[LateLeave]:
    as_of = reach.as_of
    load_leave_intervals = [leave.interval for leave in held]
    if rules.find_exemption(load_leave_intervals, reach.window, reach.minimum, as_of) is not Exemption.CLAIM:
        return
    for leave in held:
        request, facts = leave.request, leave.interval
        if facts.state(as_of) in {LeaveState.REFUSED, LeaveState.CANCELLED}:
            continue
        approved_at = facts.approved_at
        yield LateLeave(
            student_id=request.student_id,
            leave_id=request.id,
            kind=request.kind,
            starts_at=request.starts_at,
            ends_at=request.ends_at,
            filed_at=request.filed_at,
            approved_at=approved_at,
            after_notice=approved_at is None or approved_at > reach.window.notified_at,
        )
