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
from backend.core.acting import Acting
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.ids import new_id
from backend.leave.law import law_at
from backend.org.queries import superiors
from backend.org.tables import OrgUnit
from backend.people.attachments import AttachedTo, attach
from backend.people.tables import Student
from backend.standing.assessment import Held, facts_and_picture, hold
from backend.standing.change_errors import (
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
from backend.standing.change_law import ChangeKind, ChangeLaw, Level, RequestState
from backend.standing.change_queries import CHANGE_REQUEST, ChangeCase, case_for, open_case_of
from backend.standing.errors import RecordUnderReview
from backend.standing.facts import Status
from backend.standing.keeping import keep, keep_current
from backend.standing.rules import Picture
from backend.standing.tables import (
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
    session: AsyncSession, acting: Acting, command: RequestChange, at: datetime
) -> ChangeCase:
    """File a change of a student of the registrar's school; its chain is fixed now, longer where the record is locked.

    Raises `NotFound`, `ChangeKindUnknown`, `NothingChanges`, `ChangeUnfit`, `ChangeOpen` and what `attach` raises.
    """
    _must_be_registrar(acting)
    held, picture = await _take_up(session, command.student_id, at)
    law = ChangeLaw.of(law_at(legal_day(held.at), held.subject.path))
    kind = law.kinds.get(command.change_kind)
    if kind is None:
        raise ChangeKindUnknown(change_kind=command.change_kind)
    _must_fit(kind, picture.status)
    if await open_case_of(session, command.student_id) is not None:
        raise ChangeOpen
    locked = _locked(picture) and kind.item in law.locked_items
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
        filed_by=acting.account_id,
        filed_at=held.at,
    )
    session.add(request)
    await session.flush()
    subject = AttachedTo(CHANGE_REQUEST, request.id, request.school_id, request.student_id)
    await attach(session, acting, command.attachment_ids, subject, held.at)
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


def _must_be_registrar(acting: Acting) -> None:
    if acting.kind != "registrar":
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


async def give_opinion(
    session: AsyncSession, acting: Acting, command: GiveOpinion, at: datetime
) -> ChangeCase:
    """The opinion of the unit whose turn it is; the last agreement writes the change.

    Authority is that of this moment (invariant 9). Raises `NotFound`, `NotPermitted`, `OwnRequest`, `ChangeClosed`,
    `NotYourTurn`, `ChangeOpinionMissing`, and on an agreement that the record no longer admits `LockedSinceFiled`,
    `NothingChanges`, `ChangeUnfit` or `RecordUnderReview`.
    """
    if acting.kind not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="异动由学校学籍管理员和上级教育部门审核",
            reason_en="changes are decided by registrars and authorities",
        )
    if command.outcome == "refused" and command.opinion is None:
        raise ChangeOpinionMissing
    filed = await case_for(session, acting, command.request_id)
    held, picture = await _take_up(session, filed.request.student_id, at)
    case = await case_for(session, acting, command.request_id)
    level = _turn_of(case, acting)
    if command.outcome == "agreed":
        _must_still_fit(case, picture, held)
    decided = await _step(session, acting, case, level, (command.outcome, command.opinion or ""), held)
    if decided.state is RequestState.AGREED:
        await _apply(session, acting, decided, held, picture)
    before = {"level": level.level}
    await _tell(session, held, decided, "change.opinion", before, {"outcome": command.outcome})
    return decided


def _turn_of(case: ChangeCase, acting: Acting) -> Level:
    """The level that the request is with, if it is the caller's own unit and not the caller's own request."""
    if acting.org_id not in {each.org_id for each in case.chain}:
        raise NotPermitted(
            reason_zh="您的单位不在这份异动申请的审批链上",
            reason_en="your unit is not on this request's chain",
        )
    current = case.current
    if current is None:
        raise ChangeClosed
    if current.org_id != acting.org_id:
        raise NotYourTurn(level=current.level)
    if acting.account_id == case.request.filed_by:
        raise OwnRequest
    return current


def _must_still_fit(case: ChangeCase, picture: Picture, held: Held) -> None:
    """What was filed may have been overtaken: by a change after a verification, or by any other."""
    law = ChangeLaw.of(law_at(legal_day(held.at), held.subject.path))
    request = case.request
    if _locked(picture) and request.item in law.locked_items and not request.locked:
        raise LockedSinceFiled
    filed_under = ChangeLaw.of(law_at(legal_day(request.filed_at), held.subject.path))
    _must_fit(filed_under.kinds[request.change_kind], picture.status)


async def _apply(
    session: AsyncSession, acting: Acting, case: ChangeCase, held: Held, picture: Picture
) -> None:
    """Write the change; of a locked record with the province's approval, which it uses up (reading 11)."""
    request, approval_id = case.request, None
    if _locked(picture) and request.locked:
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
        acting_account=acting.account_id,
        at=held.at,
    )
    session.add(edit)
    await session.flush()
    # What was due has been applied by now, so the roll shows what the picture said.
    await keep_current(session, replace(held, subject=replace(held.subject, status=picture.status)))
    entry = select(StandingEntry.id).where(
        StandingEntry.student_id == request.student_id, StandingEntry.caused_by == str(edit.id)
    )
    if await session.scalar(entry) is None:
        raise RecordUnderReview


async def withdraw_request(
    session: AsyncSession, acting: Acting, request_id: UUID, reason: str, at: datetime
) -> ChangeCase:
    """Take a request back while it is under way; any registrar of the school. Raises `NotFound`, `ChangeClosed`."""
    _must_be_registrar(acting)
    filed = await case_for(session, acting, request_id)
    held = await hold(session, filed.request.student_id, at)
    case = await case_for(session, acting, request_id)
    current = case.current
    if current is None:
        raise ChangeClosed
    decided = await _step(session, acting, case, current, ("withdrawn", reason), held)
    await _tell(session, held, decided, "change.withdrawn", {"level": current.level}, {})
    return decided


# --- the parts of an act ---


async def _take_up(session: AsyncSession, student_id: UUID, at: datetime) -> tuple[Held, Picture]:
    """Hold the student's turn, with everything applied that is due by now."""
    held = await hold(session, student_id, at)
    _, picture = await facts_and_picture(session, held)
    await keep(session, held, picture)
    return held, picture


def _locked(picture: Picture) -> bool:
    return picture.lock.locked_by is not None


async def _levels(session: AsyncSession, school_id: UUID) -> Sequence[Level]:
    """The school and the authorities above it that exist, lowest first."""
    above = await superiors(session, school_id)
    return [Level("school", school_id), *(Level(unit.kind, unit.id) for unit in above)]


async def _step(
    session: AsyncSession,
    acting: Acting,
    case: ChangeCase,
    level: Level,
    said: tuple[str, str],
    held: Held,
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
        decided_by=acting.account_id,
        at=held.at,
    )
    session.add(step)
    await session.flush()
    return ChangeCase(case.request, (*case.steps, step))


async def _tell(
    session: AsyncSession,
    held: Held,
    case: ChangeCase,
    action: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    state = {"state": case.state.value}
    _trace(session, held, case, action, after | state, before)
    payload = await _payload(session, held, case) | state
    await outbox.emit(session, "ChangeRequestDecided", payload, held.at)


def _of(held: Held) -> dict[str, UUID]:
    return {"school_id": held.subject.school_id, "student_id": held.subject.student_id}


async def _payload(session: AsyncSession, held: Held, case: ChangeCase) -> dict[str, str]:
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
    held: Held,
    case: ChangeCase,
    action: str,
    after: dict[str, Any],
    before: dict[str, Any] | None = None,
) -> None:
    """Into the audit; reasons and opinions stay in the request, they may tell of people's health."""
    act = audit.Act(action, CHANGE_REQUEST, str(case.request.id), held.subject.path, before, after)
    audit.record(session, act, held.at)
