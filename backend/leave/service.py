"""Requesting, deciding, cancelling and ending leave (HN334-3.5a). Each act adds a row; no row is changed.

Each act locks the student and is stamped with the lock's instant, so every assessment of the student either includes
the act or precedes it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE, legal_day
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.leave import events
from backend.leave.errors import (
    LeaveAlreadyDecided,
    LeaveBegun,
    LeaveIntervalInvalid,
    LeaveNotBegun,
    LeaveOpinionMissing,
    LeaveOver,
    LeaveOverlaps,
    ReturnTimeInvalid,
)
from backend.leave.kinds import LeaveKind
from backend.leave.queries import LEAVE_ATTACHMENTS, Leave, load_leave, select_leaves
from backend.leave.reasons import encrypt_reason
from backend.leave.rules import LeaveState
from backend.leave.tables import LeaveCancellation, LeaveDecision, LeaveRequest, LeaveReturn
from backend.org.paths import division_of
from backend.org.terms import require_one_term
from backend.people.attachments import AttachmentSubject, attach_files
from backend.people.student_lock import lock_student
from backend.people.tables import ClassCounselor, Student
from backend.policy.installed import policy_at

Half = Literal["morning", "afternoon"]
Answer = Literal["approved", "declined"]

HALF_DAY = timedelta(hours=12)
_HALF_DAY_START: dict[Half, time] = {"morning": time(0), "afternoon": time(12)}
_ACTIVE_STATES = {LeaveState.PENDING, LeaveState.APPROVED}


@dataclass(frozen=True, slots=True)
class HalfDay:
    """Half of a legal day: up to noon, or from noon."""

    day: date
    half: Half

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.day, _HALF_DAY_START[self.half], tzinfo=LEGAL_ZONE).astimezone(UTC)

    @property
    def ends(self) -> datetime:
        return self.begins + HALF_DAY


@dataclass(frozen=True, slots=True)
class RequestLeave:
    """Leave from the start of the first half day to the end of the last. `attachment_ids`: uploaded files."""

    kind: LeaveKind
    first: HalfDay
    last: HalfDay
    reason: str
    attachment_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class DecideLeave:
    """A decision on a request. Declining requires an opinion."""

    leave_id: UUID
    outcome: Answer
    opinion: str | None = None


async def request_leave(
    session: AsyncSession, actor: Actor, keys: KeyRing, command: RequestLeave, at: datetime
) -> Leave:
    """File a request for the acting student.

    Leave may start in the past (illness), because it exempts from nothing until it is approved. Raises
    `LeaveIntervalInvalid`, `LeaveOverlaps`, `TermNotSet`, `DaysInTwoTerms` (days are counted by term),
    `AttachmentUnusable` and `TooManyAttachments`.
    """
    if actor.role != "student" or actor.school_id is None or actor.student_id is None:
        raise NotPermitted(reason_zh="请假由学生本人申请", reason_en="only the student may request leave")
    starts_at, ends_at = command.first.begins, command.last.ends
    if starts_at >= ends_at:
        raise LeaveIntervalInvalid
    await require_one_term(session, actor.school_id, command.first.day, command.last.day)
    at = await lock_student(session, actor.student_id, at)
    await _reject_overlap(session, actor.student_id, starts_at, ends_at, at)
    leave_id = new_id()
    request = LeaveRequest(
        id=leave_id,
        school_id=actor.school_id,
        student_id=actor.student_id,
        kind=command.kind,
        starts_at=starts_at,
        ends_at=ends_at,
        reason_sealed=encrypt_reason(keys, leave_id, command.reason),
        filed_by=actor.account_id,
        filed_at=at,
    )
    session.add(request)
    await session.flush()
    to = AttachmentSubject(LEAVE_ATTACHMENTS, leave_id, actor.school_id, actor.student_id)
    await attach_files(session, actor, command.attachment_ids, to, at)
    leave = Leave(request, None, None, None)
    _audit(session, actor, leave, "leave_requested", _format_interval(request), at)
    await outbox.emit(session, events.LeaveRequested(**_event_fields(actor, leave)), at)
    return leave


async def _reject_overlap(
    session: AsyncSession, student_id: UUID, starts_at: datetime, ends_at: datetime, at: datetime
) -> None:
    overlapping = select_leaves().where(
        LeaveRequest.student_id == student_id,
        LeaveRequest.starts_at < ends_at,
        LeaveRequest.ends_at > starts_at,
    )
    for other in [Leave(*row) for row in await session.execute(overlapping)]:
        if other.state(at) in _ACTIVE_STATES:
            raise LeaveOverlaps(**_format_interval(other.request))


async def decide_leave(session: AsyncSession, actor: Actor, command: DecideLeave, at: datetime) -> Leave:
    """Approve or decline a request, once. Counselors decide for their own classes and as stand-ins.

    The roles that may decide are policy (`leave.approvers`); authority is checked as of now (invariant 9). Raises
    `NotFound`, `NotPermitted`, `LeaveAlreadyDecided`, `LeaveOver` and `LeaveOpinionMissing`.
    """
    if command.outcome == "declined" and command.opinion is None:
        raise LeaveOpinionMissing
    leave, at = await _lock_leave(session, actor, command.leave_id, at)
    _require_approver(actor, at)
    if leave.decision is not None:
        raise LeaveAlreadyDecided
    if leave.cancellation is not None:
        raise LeaveOver
    decision = LeaveDecision(
        **_ids(leave),
        outcome=command.outcome,
        opinion=command.opinion,
        filed_by=leave.request.filed_by,
        decided_by=actor.account_id,
        represented_counselor_id=await _find_represented_counselor(session, actor, leave),
        decided_at=at,
    )
    session.add(decision)
    await session.flush()
    decided = Leave(leave.request, decision, None, None)
    details = {
        "outcome": command.outcome,
        "represented_counselor_id": str(decision.represented_counselor_id or ""),
    }
    _audit(session, actor, decided, "leave_decided", details, at)
    await outbox.emit(session, events.LeaveDecided(**_event_fields(actor, decided)), at)
    return decided


def _require_approver(actor: Actor, at: datetime) -> None:
    if actor.role not in policy_at(legal_day(at), division_of(actor.org_path)).texts("leave.approvers"):
        raise NotPermitted(reason_zh="请假由规定的审批人审批", reason_en="your role may not decide on leave")


async def _find_represented_counselor(session: AsyncSession, actor: Actor, leave: Leave) -> UUID | None:
    """The counselor of the class if a stand-in decides, else None."""
    if actor.role != "counselor":
        return None
    own = select(ClassCounselor.counselor_id).join(Student, Student.class_id == ClassCounselor.class_id)
    counselor_id = await session.scalar(
        own.where(Student.id == leave.request.student_id, ClassCounselor.until.is_(None))
    )
    return None if counselor_id == actor.counselor_id else counselor_id


async def cancel_leave(
    session: AsyncSession, actor: Actor, leave_id: UUID, reason: str | None, at: datetime
) -> Leave:
    """Cancel leave: students before it starts, staff also while it lasts.

    Cancelled before its start, the leave has no effect; later, it ends now. Raises `NotFound`, `LeaveOver`,
    `LeaveBegun`.
    """
    leave, at = await _lock_leave(session, actor, leave_id, at)
    state = leave.state(at)
    is_past = state is LeaveState.APPROVED and leave.request.ends_at <= at
    if state not in _ACTIVE_STATES or is_past:
        raise LeaveOver
    if actor.role == "student" and state is LeaveState.APPROVED and leave.request.starts_at <= at:
        raise LeaveBegun
    cancellation = LeaveCancellation(
        **_ids(leave), reason=reason, cancelled_by=actor.account_id, cancelled_at=at
    )
    session.add(cancellation)
    await session.flush()
    cancelled = Leave(leave.request, leave.decision, cancellation, None)
    _audit(session, actor, cancelled, "leave_cancelled", {"state_before": state.value}, at)
    await outbox.emit(session, events.LeaveCancelled(**_event_fields(actor, cancelled), by=actor.role), at)
    return cancelled


async def record_return(
    session: AsyncSession, actor: Actor, leave_id: UUID, returned_at: datetime | None, at: datetime
) -> Leave:
    """End approved leave by the actual return (销假).

    A student returns now, by the server's clock; staff may state an earlier instant. Raises `NotFound`,
    `LeaveOver`, `LeaveNotBegun` and `ReturnTimeInvalid`.
    """
    leave, at = await _lock_leave(session, actor, leave_id, at)
    state = leave.state(at)
    if state is LeaveState.PENDING or (state is LeaveState.APPROVED and at < leave.request.starts_at):
        raise LeaveNotBegun
    if state is not LeaveState.APPROVED:
        raise LeaveOver
    back_at = at if actor.role == "student" or returned_at is None else returned_at
    if not leave.request.starts_at <= back_at <= at:
        raise ReturnTimeInvalid
    return_record = LeaveReturn(
        **_ids(leave), returned_at=back_at, recorded_by=actor.account_id, recorded_at=at
    )
    session.add(return_record)
    await session.flush()
    returned = Leave(leave.request, leave.decision, None, return_record)
    _audit(session, actor, returned, "leave_returned", {"returned_at": back_at.isoformat()}, at)
    await outbox.emit(session, events.LeaveReturned(**_event_fields(actor, returned), by=actor.role), at)
    return returned


async def _lock_leave(
    session: AsyncSession, actor: Actor, leave_id: UUID, at: datetime
) -> tuple[Leave, datetime]:
    """Lock the student and return the leave as the caller may see it, with the lock's instant.

    The leave is read twice: before the lock to check access, so that callers without access never block a student,
    and after it to see what earlier transactions committed.
    """
    request = (await load_leave(session, actor, leave_id, at)).request
    at = await lock_student(session, request.student_id, at)
    return await load_leave(session, actor, leave_id, at), at


def _ids(leave: Leave) -> dict[str, UUID]:
    request = leave.request
    return {"leave_id": request.id, "school_id": request.school_id, "student_id": request.student_id}


def _event_fields(actor: Actor, leave: Leave) -> dict[str, Any]:
    """The fields of an event. Actors on leave belong to the school, so their path is the school's."""
    return {**_ids(leave), "path": actor.org_path}


def _format_interval(request: LeaveRequest) -> dict[str, str]:
    form = "%Y-%m-%d %H:%M"
    return {
        "starts_at": request.starts_at.astimezone(LEGAL_ZONE).strftime(form),
        "ends_at": request.ends_at.astimezone(LEGAL_ZONE).strftime(form),
    }


def _audit(
    session: AsyncSession, actor: Actor, leave: Leave, action: str, after: dict[str, Any], at: datetime
) -> None:
    """Write an audit entry, without the kind of leave and its reason: they are health data."""
    act = audit.Act(action, "leave_request", str(leave.request.id), actor.org_path, after=after)
    audit.record(session, act, at)
