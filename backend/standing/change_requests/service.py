"""Change requests: changes of standing without a prompt, approved level by level (HN334-4.1c, SD13-4).

The school files a request, which fixes its chain of approval. Every agreement checks again that the change still
applies to the record. The last agreement writes the change in its own transaction. Every act locks the student.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.org.paths import division_of
from backend.org.queries import list_superiors
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachmentSubject, attach_files
from backend.people.tables import Student
from backend.policy.installed import policy_at
from backend.standing.change_requests.errors import (
    ChangeClosed,
    ChangeKindUnknown,
    ChangeOpen,
    ChangeOpinionMissing,
    ChangeUnfit,
    LockedSinceFiled,
    NothingChanges,
    NotYourTurn,
    OwnRequest,
    TransferInByRoster,
)
from backend.standing.change_requests.policy import ChangeKind, ChangePolicy, Level, RequestState
from backend.standing.change_requests.queries import (
    CHANGE_REQUEST,
    ChangeRequestView,
    find_open_request,
    load_change_request,
)
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import Status
from backend.standing.engine.transfer import TRANSFER_IN
from backend.standing.events import ChangeRequestDecided, ChangeRequested
from backend.standing.prompts.errors import RecordUnderReview
from backend.standing.store.lock import LockedStudent, assess_locked_student, lock_for_assessment
from backend.standing.store.save import recompute_locked, save_assessment
from backend.standing.store.tables import (
    ChangeRequest,
    ChangeRequestStep,
    ProvinceApproved,
    StandingEdit,
    StandingEntry,
)

OpinionOutcome = Literal["agreed", "refused"]


@dataclass(frozen=True, slots=True)
class RequestChange:
    """A change to file; its kind determines what it writes. Every level reads the reasons and files."""

    student_id: UUID
    change_kind: str
    reasons: str
    attachment_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class GiveOpinion:
    """The opinion of one level. A refusal requires an opinion and closes the request."""

    request_id: UUID
    outcome: OpinionOutcome
    opinion: str | None = None


async def request_change(
    session: AsyncSession, actor: Actor, command: RequestChange, at: datetime
) -> ChangeRequestView:
    """File a change for a student of the registrar's school and fix its chain, which is longer for a locked record.

    Raises `NotFound`, `ChangeKindUnknown`, `TransferInByRoster`, `NothingChanges`, `ChangeUnfit`, `ChangeOpen` and the errors of `attach_files`.
    """
    _require_registrar(actor)
    locked, assessment = await _lock_and_save_due(session, command.student_id, at)
    law = ChangePolicy.of(policy_at(legal_day(locked.at), division_of(locked.subject.path)))
    kind = law.kinds.get(command.change_kind)
    if kind is None:
        raise ChangeKindUnknown(change_kind=command.change_kind)
    if kind.item == TRANSFER_IN:
        raise TransferInByRoster
    _require_applicable(kind, assessment.status)
    if await find_open_request(session, command.student_id) is not None:
        raise ChangeOpen
    record_locked = _is_locked(assessment) and kind.item in law.locked_items
    chain = await _build_chain(session, locked, law, kind, record_locked=record_locked)
    request = ChangeRequest(
        id=new_id(),
        **_owner_columns(locked),
        item=kind.item,
        change_kind=kind.code,
        standing=kind.standing,
        study_form=kind.study_form,
        reasons=command.reasons,
        chain=[{"level": level.level, "org_id": str(level.org_id)} for level in chain],
        locked=record_locked,
        policy_version=law.version,
        filed_by=actor.account_id,
        filed_at=locked.at,
    )
    session.add(request)
    await session.flush()
    to = AttachmentSubject(CHANGE_REQUEST, request.id, request.school_id, request.student_id)
    await attach_files(session, actor, command.attachment_ids, to, locked.at)
    return await _publish_request(session, locked, request)


async def _build_chain(
    session: AsyncSession, locked: LockedStudent, law: ChangePolicy, kind: ChangeKind, *, record_locked: bool
) -> tuple[Level, ...]:
    programme = (await session.get_one(Student, locked.subject.student_id)).programme
    up_to = law.locked_up_to if record_locked else law.required_level(kind, programme)
    return law.chain(up_to, await _load_levels(session, locked.subject.school_id))


async def _publish_request(
    session: AsyncSession, locked: LockedStudent, request: ChangeRequest
) -> ChangeRequestView:
    view = ChangeRequestView(request, ())
    after = {
        "change_kind": request.change_kind,
        "standing": request.standing,
        "study_form": request.study_form,
        "chain": [level.level for level in view.chain],
        "locked": request.locked,
        "policy": request.policy_version,
    }
    _audit(session, locked, view, "change.requested", after)
    await outbox.emit(session, ChangeRequested(**await _event_fields(session, locked, view)), locked.at)
    return view


def _require_registrar(actor: Actor) -> None:
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="学籍异动由学校学籍管理员申报", reason_en="only the school's registrar files changes"
        )


def _require_applicable(kind: ChangeKind, status: Status) -> None:
    match kind.objection(status):
        case "nothing_changes":
            raise NothingChanges
        case "unfit":
            raise ChangeUnfit(
                standing=status.standing, study_form=status.study_form, change_zh=kind.zh, change_en=kind.en
            )


async def give_opinion(
    session: AsyncSession, actor: Actor, command: GiveOpinion, at: datetime
) -> ChangeRequestView:
    """Record the opinion of the current level; the last agreement writes the change.

    The actor's authority is checked as of now (invariant 9). Raises `NotFound`, `NotPermitted`, `OwnRequest`,
    `ChangeClosed`, `NotYourTurn`, `ChangeOpinionMissing`; for an agreement that no longer fits the record also
    `LockedSinceFiled`, `NothingChanges`, `ChangeUnfit` or `RecordUnderReview`.
    """
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="异动由学校学籍管理员和上级教育部门审核",
            reason_en="only registrars and authorities review changes",
        )
    if command.outcome == "refused" and command.opinion is None:
        raise ChangeOpinionMissing
    unlocked_view = await load_change_request(session, actor, command.request_id)
    locked, assessment = await _lock_and_save_due(session, unlocked_view.request.student_id, at)
    view = await load_change_request(session, actor, command.request_id)
    level = _require_current_level(view, actor)
    if command.outcome == "agreed":
        _require_still_applicable(view, assessment, locked)
    decided = await _insert_step(
        session, actor, view, level, (command.outcome, command.opinion or ""), locked
    )
    if decided.state is RequestState.AGREED:
        await _write_change(session, actor, decided, locked, assessment)
    before = {"level": level.level}
    await _publish_decision(session, locked, decided, "change.opinion", before, {"outcome": command.outcome})
    return decided


def _require_current_level(view: ChangeRequestView, actor: Actor) -> Level:
    """The current level, which must be the actor's unit; the request must not be the actor's own."""
    if actor.org_id not in {level.org_id for level in view.chain}:
        raise NotPermitted(
            reason_zh="您的单位不在这份异动申请的审批链上",
            reason_en="your unit is not in the chain of approval of this request",
        )
    current = view.current
    if current is None:
        raise ChangeClosed
    if current.org_id != actor.org_id:
        raise NotYourTurn(level=current.level)
    if actor.account_id == view.request.filed_by:
        raise OwnRequest
    return current


def _require_still_applicable(view: ChangeRequestView, assessment: Assessment, locked: LockedStudent) -> None:
    """Check again: a verification may have locked the record since filing, or another change may have come first."""
    division = division_of(locked.subject.path)
    law = ChangePolicy.of(policy_at(legal_day(locked.at), division))
    request = view.request
    if _is_locked(assessment) and request.item in law.locked_items and not request.locked:
        raise LockedSinceFiled
    law_at_filing = ChangePolicy.of(policy_at(legal_day(request.filed_at), division))
    _require_applicable(law_at_filing.kinds[request.change_kind], assessment.status)


async def _write_change(
    session: AsyncSession,
    actor: Actor,
    view: ChangeRequestView,
    locked: LockedStudent,
    assessment: Assessment,
) -> None:
    """Write the change. For a locked record, store the province's approval, which this change uses up (reading 11)."""
    request, approval_id = view.request, None
    if _is_locked(assessment) and request.locked:
        session.add(ProvinceApproved(request_id=request.id, **_owner_columns(locked), at=locked.at))
        await session.flush()
        approval_id = request.id
    edit = StandingEdit(
        id=new_id(),
        **_owner_columns(locked),
        item=request.item,
        standing=request.standing,
        study_form=request.study_form,
        request_id=request.id,
        approval_id=approval_id,
        acting_account=actor.account_id,
        at=locked.at,
    )
    session.add(edit)
    await session.flush()
    # `_lock_and_save_due` has already written the assessed status to the roll.
    await recompute_locked(
        session, replace(locked, subject=replace(locked.subject, status=assessment.status))
    )
    entry = select(StandingEntry.id).where(
        StandingEntry.student_id == request.student_id, StandingEntry.caused_by == str(edit.id)
    )
    if await session.scalar(entry) is None:
        raise RecordUnderReview


async def withdraw_request(
    session: AsyncSession, actor: Actor, request_id: UUID, reason: str, at: datetime
) -> ChangeRequestView:
    """Withdraw an open request as any registrar of the school. Raises `NotFound`, `ChangeClosed`."""
    _require_registrar(actor)
    unlocked_view = await load_change_request(session, actor, request_id)
    locked = await lock_for_assessment(session, unlocked_view.request.student_id, at)
    view = await load_change_request(session, actor, request_id)
    current = view.current
    if current is None:
        raise ChangeClosed
    decided = await _insert_step(session, actor, view, current, ("withdrawn", reason), locked)
    await _publish_decision(session, locked, decided, "change.withdrawn", {"level": current.level}, {})
    return decided


# --- shared steps ---


async def _lock_and_save_due(
    session: AsyncSession, student_id: UUID, at: datetime
) -> tuple[LockedStudent, Assessment]:
    """Lock the student and save whatever is due by now."""
    locked = await lock_for_assessment(session, student_id, at)
    _, assessment = await assess_locked_student(session, locked)
    await save_assessment(session, locked, assessment)
    return locked, assessment


def _is_locked(assessment: Assessment) -> bool:
    return assessment.lock.locked_by is not None


async def _load_levels(session: AsyncSession, school_id: UUID) -> Sequence[Level]:
    """The school and the existing authorities above it, lowest first."""
    authorities = await list_superiors(session, school_id)
    return [Level("school", school_id), *(Level(unit.kind, unit.id) for unit in authorities)]


async def _insert_step(
    session: AsyncSession,
    actor: Actor,
    view: ChangeRequestView,
    level: Level,
    answer: tuple[str, str],
    locked: LockedStudent,
) -> ChangeRequestView:
    """Insert the outcome and opinion of a level."""
    outcome, opinion = answer
    step = ChangeRequestStep(
        request_id=view.request.id,
        position=len(view.steps) + 1,
        **_owner_columns(locked),
        level=level.level,
        org_id=level.org_id,
        outcome=outcome,
        opinion=opinion,
        filed_by=view.request.filed_by,
        decided_by=actor.account_id,
        at=locked.at,
    )
    session.add(step)
    await session.flush()
    return ChangeRequestView(view.request, (*view.steps, step))


async def _publish_decision(
    session: AsyncSession,
    locked: LockedStudent,
    view: ChangeRequestView,
    action: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    state = {"state": view.state.value}
    _audit(session, locked, view, action, after | state, before)
    event = ChangeRequestDecided(**await _event_fields(session, locked, view), state=view.state)
    await outbox.emit(session, event, locked.at)


def _owner_columns(locked: LockedStudent) -> dict[str, UUID]:
    return {"school_id": locked.subject.school_id, "student_id": locked.subject.student_id}


async def _event_fields(
    session: AsyncSession, locked: LockedStudent, view: ChangeRequestView
) -> dict[str, Any]:
    """For an open request `turn_org` and `turn_path` are the current level's unit; otherwise `turn_path` is the school's."""
    fields = {**locked.event_fields, "request_id": view.request.id, "turn_path": locked.subject.path}
    if view.current is not None:
        unit = await session.get_one(OrgUnit, view.current.org_id)
        fields |= {"turn_org": unit.id, "turn_path": unit.path}
    return fields


def _audit(
    session: AsyncSession,
    locked: LockedStudent,
    view: ChangeRequestView,
    action: str,
    after: dict[str, Any],
    before: dict[str, Any] | None = None,
) -> None:
    """Write the audit entry. Reasons and opinions stay in the request: they may be about health."""
    act = audit.Act(action, CHANGE_REQUEST, str(view.request.id), locked.subject.path, before, after)
    audit.record(session, act, locked.at)
