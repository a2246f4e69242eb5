"""Changes of the record that no prompt causes: filed by the school, climbing level by level (HN334-4.1c, SD13-4).

The chain is fixed when the request is filed; what has happened to the record since is looked at again by whoever
agrees. The last agreement writes the change in its own transaction. Every act holds the student's turn.
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
from backend.org.queries import superiors
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachedTo, attach
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
)
from backend.standing.change_requests.policy import ChangeKind, ChangePolicy, Level, RequestState
from backend.standing.change_requests.queries import CHANGE_REQUEST, ChangeCase, case_for, open_case_of
from backend.standing.engine.assess import Assessment
from backend.standing.engine.facts import Status
from backend.standing.prompts.errors import RecordUnderReview
from backend.standing.store.lock import LockedStudent, load_facts_and_assess, lock_and_assess
from backend.standing.store.save import save_assessment, save_current
from backend.standing.store.tables import (
    ChangeRequest,
    ChangeRequestStep,
    ProvinceApproved,
    StandingEdit,
    StandingEntry,
)

Opinion = Literal["agreed", "refused"]


@dataclass(frozen=True, slots=True)
class RequestChange:
    """A change to file: the kind says what it writes. `reasons` and files are read at every level."""

    student_id: UUID
    change_kind: str
    reasons: str
    attachment_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class GiveOpinion:
    """One level's answer; a refusal says why, and ends the request."""

    request_id: UUID
    outcome: Opinion
    opinion: str | None = None


async def request_change(
    session: AsyncSession, actor: Actor, command: RequestChange, at: datetime
) -> ChangeCase:
    """File a change of a student of the registrar's school; its chain is fixed now, longer where the record is locked.

    Raises `NotFound`, `ChangeKindUnknown`, `NothingChanges`, `ChangeUnfit`, `ChangeOpen` and what `attach` raises.
    """
    _must_be_registrar(actor)
    held, assessment = await _take_up(session, command.student_id, at)
    law = ChangePolicy.of(policy_at(legal_day(held.at), division_of(held.subject.path)))
    kind = law.kinds.get(command.change_kind)
    if kind is None:
        raise ChangeKindUnknown(change_kind=command.change_kind)
    _must_fit(kind, assessment.status)
    if await open_case_of(session, command.student_id) is not None:
        raise ChangeOpen
    locked = _locked(assessment) and kind.item in law.locked_items
    programme = (await session.get_one(Student, command.student_id)).programme
    up_to = law.locked_up_to if locked else law.usual_reach(kind, programme)
    chain = law.chain(up_to, await _levels(session, held.subject.school_id))
    request = ChangeRequest(
        id=new_id(),
        **_of(held),
        item=kind.item,
        change_kind=kind.code,
        standing=kind.standing,
        study_form=kind.study_form,
        reasons=command.reasons,
        chain=[{"level": each.level, "org_id": str(each.org_id)} for each in chain],
        locked=locked,
        policy_version=law.version,
        filed_by=actor.account_id,
        filed_at=held.at,
    )
    session.add(request)
    await session.flush()
    subject = AttachedTo(CHANGE_REQUEST, request.id, request.school_id, request.student_id)
    await attach(session, actor, command.attachment_ids, subject, held.at)
    case = ChangeCase(request, ())
    after = {
        "change_kind": kind.code,
        "standing": kind.standing,
        "study_form": kind.study_form,
        "chain": [each.level for each in chain],
        "locked": locked,
        "policy": law.version,
    }
    _trace(session, held, case, "change.requested", after)
    await outbox.emit(session, "ChangeRequested", await _payload(session, held, case), held.at)
    return case


def _must_be_registrar(actor: Actor) -> None:
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="学籍异动由学校学籍管理员申报", reason_en="changes are filed by the school's registrar"
        )


def _must_fit(kind: ChangeKind, status: Status) -> None:
    match kind.objection(status):
        case "nothing_changes":
            raise NothingChanges
        case "unfit":
            raise ChangeUnfit(
                standing=status.standing, study_form=status.study_form, change_zh=kind.zh, change_en=kind.en
            )


async def give_opinion(session: AsyncSession, actor: Actor, command: GiveOpinion, at: datetime) -> ChangeCase:
    """The opinion of the unit whose turn it is; the last agreement writes the change.

    Authority is that of this moment (invariant 9). Raises `NotFound`, `NotPermitted`, `OwnRequest`, `ChangeClosed`,
    `NotYourTurn`, `ChangeOpinionMissing`, and on an agreement that the record no longer admits `LockedSinceFiled`,
    `NothingChanges`, `ChangeUnfit` or `RecordUnderReview`.
    """
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="异动由学校学籍管理员和上级教育部门审核",
            reason_en="changes are decided by registrars and authorities",
        )
    if command.outcome == "refused" and command.opinion is None:
        raise ChangeOpinionMissing
    filed = await case_for(session, actor, command.request_id)
    held, assessment = await _take_up(session, filed.request.student_id, at)
    case = await case_for(session, actor, command.request_id)
    level = _turn_of(case, actor)
    if command.outcome == "agreed":
        _must_still_fit(case, assessment, held)
    decided = await _step(session, actor, case, level, (command.outcome, command.opinion or ""), held)
    if decided.state is RequestState.AGREED:
        await _apply(session, actor, decided, held, assessment)
    before = {"level": level.level}
    await _tell(session, held, decided, "change.opinion", before, {"outcome": command.outcome})
    return decided


def _turn_of(case: ChangeCase, actor: Actor) -> Level:
    """The level that the request is with, if it is the caller's own unit and not the caller's own request."""
    if actor.org_id not in {each.org_id for each in case.chain}:
        raise NotPermitted(
            reason_zh="您的单位不在这份异动申请的审批链上",
            reason_en="your unit is not on this request's chain",
        )
    current = case.current
    if current is None:
        raise ChangeClosed
    if current.org_id != actor.org_id:
        raise NotYourTurn(level=current.level)
    if actor.account_id == case.request.filed_by:
        raise OwnRequest
    return current


def _must_still_fit(case: ChangeCase, assessment: Assessment, held: LockedStudent) -> None:
    """What was filed may have been overtaken: by a change after a verification, or by any other."""
    law = ChangePolicy.of(policy_at(legal_day(held.at), division_of(held.subject.path)))
    request = case.request
    if _locked(assessment) and request.item in law.locked_items and not request.locked:
        raise LockedSinceFiled
    filed_under = ChangePolicy.of(policy_at(legal_day(request.filed_at), division_of(held.subject.path)))
    _must_fit(filed_under.kinds[request.change_kind], assessment.status)


async def _apply(
    session: AsyncSession, actor: Actor, case: ChangeCase, held: LockedStudent, assessment: Assessment
) -> None:
    """Write the change; of a locked record with the province's approval, which it uses up (reading 11)."""
    request, approval_id = case.request, None
    if _locked(assessment) and request.locked:
        session.add(ProvinceApproved(request_id=request.id, **_of(held), at=held.at))
        await session.flush()
        approval_id = request.id
    edit = StandingEdit(
        id=new_id(),
        **_of(held),
        item=request.item,
        standing=request.standing,
        study_form=request.study_form,
        request_id=request.id,
        approval_id=approval_id,
        acting_account=actor.account_id,
        at=held.at,
    )
    session.add(edit)
    await session.flush()
    # What was due has been applied by now, so the roll shows what the picture said.
    await save_current(session, replace(held, subject=replace(held.subject, status=assessment.status)))
    entry = select(StandingEntry.id).where(
        StandingEntry.student_id == request.student_id, StandingEntry.caused_by == str(edit.id)
    )
    if await session.scalar(entry) is None:
        raise RecordUnderReview


async def withdraw_request(
    session: AsyncSession, actor: Actor, request_id: UUID, reason: str, at: datetime
) -> ChangeCase:
    """Take a request back while it is under way; any registrar of the school. Raises `NotFound`, `ChangeClosed`."""
    _must_be_registrar(actor)
    filed = await case_for(session, actor, request_id)
    held = await lock_and_assess(session, filed.request.student_id, at)
    case = await case_for(session, actor, request_id)
    current = case.current
    if current is None:
        raise ChangeClosed
    decided = await _step(session, actor, case, current, ("withdrawn", reason), held)
    await _tell(session, held, decided, "change.withdrawn", {"level": current.level}, {})
    return decided


# --- the parts of an act ---


async def _take_up(session: AsyncSession, student_id: UUID, at: datetime) -> tuple[LockedStudent, Assessment]:
    """Hold the student's turn, with everything applied that is due by now."""
    held = await lock_and_assess(session, student_id, at)
    _, assessment = await load_facts_and_assess(session, held)
    await save_assessment(session, held, assessment)
    return held, assessment


def _locked(assessment: Assessment) -> bool:
    return assessment.lock.locked_by is not None


async def _levels(session: AsyncSession, school_id: UUID) -> Sequence[Level]:
    """The school and the authorities above it that exist, lowest first."""
    above = await superiors(session, school_id)
    return [Level("school", school_id), *(Level(unit.kind, unit.id) for unit in above)]


async def _step(
    session: AsyncSession,
    actor: Actor,
    case: ChangeCase,
    level: Level,
    said: tuple[str, str],
    held: LockedStudent,
) -> ChangeCase:
    """Record what was said at a level: the outcome and the opinion."""
    outcome, opinion = said
    step = ChangeRequestStep(
        request_id=case.request.id,
        position=len(case.steps) + 1,
        **_of(held),
        level=level.level,
        org_id=level.org_id,
        outcome=outcome,
        opinion=opinion,
        filed_by=case.request.filed_by,
        decided_by=actor.account_id,
        at=held.at,
    )
    session.add(step)
    await session.flush()
    return ChangeCase(case.request, (*case.steps, step))


async def _tell(
    session: AsyncSession,
    held: LockedStudent,
    case: ChangeCase,
    action: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    state = {"state": case.state.value}
    _trace(session, held, case, action, after | state, before)
    payload = await _payload(session, held, case) | state
    await outbox.emit(session, "ChangeRequestDecided", payload, held.at)


def _of(held: LockedStudent) -> dict[str, UUID]:
    return {"school_id": held.subject.school_id, "student_id": held.subject.student_id}


async def _payload(session: AsyncSession, held: LockedStudent, case: ChangeCase) -> dict[str, str]:
    """While a request is under way, `turn_org` is the unit whose turn it is; `turn_path` its path, or the school's."""
    path, current = held.subject.path, case.current
    payload = {name: str(value) for name, value in _of(held).items()}
    payload |= {"request_id": str(case.request.id), "path": path, "turn_path": path}
    if current is not None:
        unit = await session.get_one(OrgUnit, current.org_id)
        payload |= {"turn_org": str(unit.id), "turn_path": unit.path}
    return payload


def _trace(
    session: AsyncSession,
    held: LockedStudent,
    case: ChangeCase,
    action: str,
    after: dict[str, Any],
    before: dict[str, Any] | None = None,
) -> None:
    """Into the audit; reasons and opinions stay in the request, they may tell of people's health."""
    act = audit.Act(action, CHANGE_REQUEST, str(case.request.id), held.subject.path, before, after)
    audit.record(session, act, held.at)
