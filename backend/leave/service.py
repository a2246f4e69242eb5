"""Asking for leave, answering, taking back and coming back (HN334-3.5a). Each act adds a row; none changes one.

Each takes the student's turn and is recorded under its instant, so that whatever is judged of the student knows of it
or comes before it.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
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
from backend.leave.errors import (
    LeaveBegun,
    LeaveDecided,
    LeaveIntervalInvalid,
    LeaveNotBegun,
    LeaveOpinionMissing,
    LeaveOver,
    LeaveOverlaps,
    ReturnTimeInvalid,
)
from backend.leave.queries import LEAVE_FILES, Leave, leave_for, leaves
from backend.leave.reasons import sealed_reason
from backend.leave.rules import LeaveState
from backend.leave.tables import LeaveCancellation, LeaveDecision, LeaveRequest, LeaveReturn
from backend.org.paths import division_of
from backend.org.terms import require_one_term
from backend.people.attachments import AttachedTo, attach
from backend.people.student_lock import lock_student
from backend.people.tables import ClassCounselor, Student
from backend.policy.installed import policy_at

Half = Literal["morning", "afternoon"]
LeaveKind = Literal["personal", "sick", "other"]
Answer = Literal["approved", "declined"]

HALF_A_DAY = timedelta(hours=12)
_HALVES: dict[Half, time] = {"morning": time(0), "afternoon": time(12)}
_LIVE = {LeaveState.PENDING, LeaveState.APPROVED}


@dataclass(frozen=True, slots=True)
class HalfDay:
    """Half of a legal day: up to noon, or from noon."""

    day: date
    half: Half

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.day, _HALVES[self.half], tzinfo=LEGAL_ZONE)

    @property
    def ends(self) -> datetime:
        return self.begins + HALF_A_DAY


@dataclass(frozen=True, slots=True)
class RequestLeave:
    """Leave from the beginning of the first half day to the end of the last: 事假, 病假 or 其他.

    `attachment_ids` are files that the student has uploaded.
    """

    kind: LeaveKind
    first: HalfDay
    last: HalfDay
    reason: str
    attachment_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class DecideLeave:
    """The answer to a request; a refusal says why."""

    leave_id: UUID
    outcome: Answer
    opinion: str | None = None


async def request_leave(
    session: AsyncSession, actor: Actor, keys: KeyRing, command: RequestLeave, at: datetime
) -> Leave:
    """File a request for the acting student.

    It may begin in the past, as an illness does, since it exempts from nothing before it is approved. Raises
    `LeaveIntervalInvalid`, `LeaveOverlaps`, `TermNotSet`, `DaysInTwoTerms` (days are counted by term),
    `AttachmentUnusable` and `TooManyAttachments`.
    """
    if actor.role != "student" or actor.school_id is None or actor.student_id is None:
        raise NotPermitted(reason_zh="请假由学生本人申请", reason_en="students ask for leave themselves")
    starts_at, ends_at = command.first.begins, command.last.ends
    if starts_at >= ends_at:
        raise LeaveIntervalInvalid
    await require_one_term(session, actor.school_id, command.first.day, command.last.day)
    at = await lock_student(session, actor.student_id, at)
    await _refuse_overlap(session, actor.student_id, starts_at, ends_at, at)
    leave_id = new_id()
    request = LeaveRequest(
        id=leave_id,
        school_id=actor.school_id,
        student_id=actor.student_id,
        kind=command.kind,
        starts_at=starts_at,
        ends_at=ends_at,
        reason_sealed=sealed_reason(keys, leave_id, command.reason),
        filed_by=actor.account_id,
        filed_at=at,
    )
    session.add(request)
    await session.flush()
    to = AttachedTo(LEAVE_FILES, leave_id, actor.school_id, actor.student_id)
    await attach(session, actor, command.attachment_ids, to, at)
    leave = Leave(request, None, None, None)
    _trace(session, actor, leave, "leave_requested", _times(request), at)
    await outbox.emit(session, "LeaveRequested", _payload(actor, leave), at)
    return leave


async def _refuse_overlap(
    session: AsyncSession, student_id: UUID, starts_at: datetime, ends_at: datetime, at: datetime
) -> None:
    near = leaves().where(
        LeaveRequest.student_id == student_id,
        LeaveRequest.starts_at < ends_at,
        LeaveRequest.ends_at > starts_at,
    )
    for other in [Leave(*row) for row in await session.execute(near)]:
        if other.state(at) in _LIVE:
            raise LeaveOverlaps(**_times(other.request))


async def decide_leave(session: AsyncSession, actor: Actor, command: DecideLeave, at: datetime) -> Leave:
    """Approve or decline, once; by whom the law names, for a counselor in the own classes or a colleague's.

    Authority is that of this moment (invariant 9). Raises `NotFound`, `NotPermitted`, `LeaveDecided`, `LeaveOver`
    and `LeaveOpinionMissing`.
    """
    if command.outcome == "declined" and command.opinion is None:
        raise LeaveOpinionMissing
    leave, at = await _held(session, actor, command.leave_id, at)
    _must_be_approver(actor, at)
    if leave.decision is not None:
        raise LeaveDecided
    if leave.cancellation is not None:
        raise LeaveOver
    decision = LeaveDecision(
        **_of(leave),
        outcome=command.outcome,
        opinion=command.opinion,
        filed_by=leave.request.filed_by,
        decided_by=actor.account_id,
        stood_in_for=await _stood_in_for(session, actor, leave),
        decided_at=at,
    )
    session.add(decision)
    await session.flush()
    decided = Leave(leave.request, decision, None, None)
    facts = {"outcome": command.outcome, "stood_in_for": str(decision.stood_in_for or "")}
    _trace(session, actor, decided, "leave_decided", facts, at)
    await outbox.emit(session, "LeaveDecided", _payload(actor, decided), at)
    return decided


def _must_be_approver(actor: Actor, at: datetime) -> None:
    if actor.role not in policy_at(legal_day(at), division_of(actor.org_path)).texts("leave.approvers"):
        raise NotPermitted(
            reason_zh="请假由规定的审批人审批", reason_en="leave is decided by those whom the law names"
        )


async def _stood_in_for(session: AsyncSession, actor: Actor, leave: Leave) -> UUID | None:
    """The counselor of the class, if another counselor decides in their place."""
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
    """Take leave back: a student what is undecided or has not begun, staff at any time while it lasts.

    Before the start it was never taken; afterwards it ends now. Raises `NotFound`, `LeaveOver`, `LeaveBegun`.
    """
    leave, at = await _held(session, actor, leave_id, at)
    state = leave.state(at)
    lapsed = state is LeaveState.APPROVED and leave.request.ends_at <= at
    if state not in _LIVE or lapsed:
        raise LeaveOver
    if actor.role == "student" and state is LeaveState.APPROVED and leave.request.starts_at <= at:
        raise LeaveBegun
    cancellation = LeaveCancellation(
        **_of(leave), reason=reason, cancelled_by=actor.account_id, cancelled_at=at
    )
    session.add(cancellation)
    await session.flush()
    cancelled = Leave(leave.request, leave.decision, cancellation, None)
    _trace(session, actor, cancelled, "leave_cancelled", {"state_before": state.value}, at)
    await outbox.emit(session, "LeaveCancelled", _payload(actor, cancelled) | {"by": actor.role}, at)
    return cancelled


async def record_return(
    session: AsyncSession, actor: Actor, leave_id: UUID, returned_at: datetime | None, at: datetime
) -> Leave:
    """End approved leave by the return (销假), whose actual instant counts.

    A student's is now, by the server's clock, whatever is said; staff may name an earlier instant that they know
    of. Raises `NotFound`, `LeaveOver`, `LeaveNotBegun` and `ReturnTimeInvalid`.
    """
    leave, at = await _held(session, actor, leave_id, at)
    state = leave.state(at)
    if state is LeaveState.PENDING or (state is LeaveState.APPROVED and at < leave.request.starts_at):
        raise LeaveNotBegun
    if state is not LeaveState.APPROVED:
        raise LeaveOver
    back_at = at if actor.role == "student" or returned_at is None else returned_at
    if not leave.request.starts_at <= back_at <= at:
        raise ReturnTimeInvalid
    homecoming = LeaveReturn(**_of(leave), returned_at=back_at, recorded_by=actor.account_id, recorded_at=at)
    session.add(homecoming)
    await session.flush()
    returned = Leave(leave.request, leave.decision, None, homecoming)
    _trace(session, actor, returned, "leave_returned", {"returned_at": back_at.isoformat()}, at)
    await outbox.emit(session, "LeaveReturned", _payload(actor, returned) | {"by": actor.role}, at)
    return returned


async def _held(session: AsyncSession, actor: Actor, leave_id: UUID, at: datetime) -> tuple[Leave, datetime]:
    """The leave as the caller may see it, in the student's turn until the commit, and the turn's instant.

    Seen twice: nobody holds up a student whose leave they may not see, and what is judged is what stands once
    everybody who came before is done.
    """
    request = (await leave_for(session, actor, leave_id, at)).request
    at = await lock_student(session, request.student_id, at)
    return await leave_for(session, actor, leave_id, at), at


def _of(leave: Leave) -> dict[str, UUID]:
    request = leave.request
    return {"leave_id": request.id, "school_id": request.school_id, "student_id": request.student_id}


def _payload(actor: Actor, leave: Leave) -> dict[str, str]:
    """Who acts on leave is of the school, so its path is theirs."""
    return {name: str(value) for name, value in _of(leave).items()} | {"path": actor.org_path}


def _times(request: LeaveRequest) -> dict[str, str]:
    form = "%Y-%m-%d %H:%M"
    return {
        "starts_at": request.starts_at.astimezone(LEGAL_ZONE).strftime(form),
        "ends_at": request.ends_at.astimezone(LEGAL_ZONE).strftime(form),
    }


def _trace(
    session: AsyncSession, actor: Actor, leave: Leave, action: str, after: dict[str, Any], at: datetime
) -> None:
    """Into the audit; never the kind of leave or its reason, which tell of people's health."""
    act = audit.Act(action, "leave_request", str(leave.request.id), actor.org_path, after=after)
    audit.record(session, act, at)
