"""Phone numbers of students who have bound a phone: a school proposes, the student or a superior decides.

The code for a new phone goes to the number on the roll, so a person who sets this number could take the account over.
"Bound" means ever: otherwise a registrar could first revoke the phone and then set the number.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.bulk_insert import insert_rows
from backend.core.clock import LEGAL_ZONE
from backend.core.database import equals_any
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.tenancy import Scope, apply_scope, scope_of
from backend.identity.devices.service import load_active_device
from backend.identity.phone_changes.errors import (
    PhoneChangeClosed,
    PhoneChangeInCoolDown,
    PhoneNotBound,
    PhoneUnchanged,
)
from backend.identity.phone_changes.events import PhoneChangeDecided, PhoneChangesProposed
from backend.identity.phone_changes.rules import (
    DECIDED_BY_ROLE,
    EFFECTIVE,
    PhoneChangeState,
    Proposal,
    judge_number,
)
from backend.identity.tables import DeviceKey, PhoneChange
from backend.org.tables import OrgUnit
from backend.people.identifiers import mask
from backend.people.tables import Student


@dataclass(frozen=True, slots=True)
class ProposeNumber:
    """A number that a registrar proposes outside a roster, with the reasons that a superior reads."""

    student_id: UUID
    phone: str
    reasons: str


@dataclass(frozen=True, slots=True)
class DecidePhoneChange:
    """A decision on a proposed number. Staff state reasons; a student need not."""

    change_id: UUID
    outcome: PhoneChangeState
    reasons: str | None = None


async def propose_numbers(
    session: AsyncSession, school: OrgUnit, numbers: Mapping[UUID, str], at: datetime
) -> dict[UUID, Proposal]:
    """Propose the numbers of a roster for students who have bound a phone; what each number amounted to.

    The caller has checked that each number differs from the one on the roll.
    """
    if not numbers:
        return {}
    students = await _lock_students(session, list(numbers))
    open_changes, refused = await _load_earlier(session, list(numbers))
    judged = {
        student_id: judge_number(
            number,
            open_changes[student_id].new_phone if student_id in open_changes else None,
            refused[student_id],
        )
        for student_id, number in numbers.items()
    }
    new = {student_id: numbers[student_id] for student_id, each in judged.items() if each is Proposal.NEW}
    for student_id in new:
        if student_id in open_changes:
            await _close(session, school.path, open_changes[student_id], PhoneChangeState.REPLACED, None, at)
    await _insert_proposals(session, school, [(students[each], number) for each, number in new.items()], at)
    return judged


async def propose_number(
    session: AsyncSession, actor: Actor, command: ProposeNumber, at: datetime
) -> PhoneChange:
    """Propose a number as a registrar. Raises `NotFound`, `NotPermitted`, `PhoneNotBound`, `PhoneUnchanged`."""
    student = (await _lock_students(session, [command.student_id])).get(command.student_id)
    if student is None or actor.role == "counselor":
        raise NotFound
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="联系电话由学校学籍管理员提出变更",
            reason_en="only the school's registrar proposes a phone number",
        )
    if not await session.scalar(select(exists().where(DeviceKey.student_id == student.id))):
        raise PhoneNotBound
    if student.phone == command.phone:
        raise PhoneUnchanged
    open_changes, _ = await _load_earlier(session, [student.id])
    for earlier in open_changes.values():
        await _close(session, actor.org_path, earlier, PhoneChangeState.REPLACED, None, at)
    school = await session.get_one(OrgUnit, student.school_id)
    batch = await _insert_proposals(session, school, [(student, command.phone)], at, command.reasons)
    return (await session.scalars(select(PhoneChange).where(PhoneChange.batch_id == batch))).one()


async def decide_phone_change(
    session: AsyncSession, actor: Actor, command: DecidePhoneChange, at: datetime
) -> PhoneChange:
    """Decide on a proposed number; if confirmed or approved, it becomes the number on the roll.

    The student decides on the bound phone, but not during its cool-down; a superior decides for students who cannot.
    Raises `NotFound`, `NotPermitted`, `PhoneChangeClosed`, `PhoneChangeInCoolDown`.
    """
    seen = await session.get(PhoneChange, command.change_id)
    if seen is None or actor.role == "counselor":
        raise NotFound
    _require_may_decide(actor, command.outcome)
    if actor.role == "student":
        await _require_no_cool_down(session, seen.student_id, command.outcome, at)
        # The student's own scope writes nothing on the roll. The row above is the student's.
        await apply_scope(session, Scope.school(seen.school_id, actor.org_path, actor.account_id))
    student = (await _lock_students(session, [seen.student_id]))[seen.student_id]
    locked = select(PhoneChange).where(PhoneChange.id == seen.id).with_for_update()
    change = (await session.scalars(locked.execution_options(populate_existing=True))).one()
    if change.state != PhoneChangeState.OPEN:
        raise PhoneChangeClosed
    school = await session.get_one(OrgUnit, change.school_id)
    await _close(session, school.path, change, command.outcome, command.reasons, at)
    if command.outcome in EFFECTIVE:
        _write_number(session, school.path, student, change.new_phone, at)
    await session.flush()
    return change


async def correct_number(session: AsyncSession, student: Student, phone: str, at: datetime) -> None:
    """Write the number of a correction that the student requested and the registrar accepted; the student is locked."""
    school = await session.get_one(OrgUnit, student.school_id)
    open_changes, _ = await _load_earlier(session, [student.id])
    for change in open_changes.values():
        await _close(session, school.path, change, PhoneChangeState.REPLACED, None, at)
    _write_number(session, school.path, student, phone, at)


def _require_may_decide(actor: Actor, outcome: PhoneChangeState) -> None:
    if outcome not in DECIDED_BY_ROLE.get(actor.role, frozenset()):
        raise NotPermitted(
            reason_zh="联系电话变更由学生本人在已绑定手机上确认，或由学校的上级教育部门核准；学校只能撤回",
            reason_en="the student confirms a change of the phone number on the bound phone, or a superior of the school"
            " approves it; the school can only withdraw it",
        )


async def _require_no_cool_down(
    session: AsyncSession, student_id: UUID, outcome: PhoneChangeState, at: datetime
) -> None:
    device = await load_active_device(session, student_id)
    until = device.cool_down_until if device else None
    if outcome in EFFECTIVE and until is not None and at < until:
        raise PhoneChangeInCoolDown(until=until.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M"))


async def _lock_students(session: AsyncSession, student_ids: list[UUID]) -> dict[UUID, Student]:
    locked = select(Student).where(equals_any(Student.id, student_ids)).order_by(Student.id).with_for_update()
    rows = await session.scalars(locked.execution_options(populate_existing=True))
    return {student.id: student for student in rows}


async def _load_earlier(
    session: AsyncSession, student_ids: list[UUID]
) -> tuple[dict[UUID, PhoneChange], defaultdict[UUID, set[str]]]:
    """The open change of each student, and the numbers that were refused."""
    query = select(PhoneChange).where(
        equals_any(PhoneChange.student_id, student_ids),
        PhoneChange.state.in_((PhoneChangeState.OPEN, PhoneChangeState.REFUSED)),
    )
    open_changes: dict[UUID, PhoneChange] = {}
    refused: defaultdict[UUID, set[str]] = defaultdict(set)
    for change in await session.scalars(query):
        if change.state == PhoneChangeState.OPEN:
            open_changes[change.student_id] = change
        else:
            refused[change.student_id].add(change.new_phone)
    return open_changes, refused


async def _insert_proposals(
    session: AsyncSession,
    school: OrgUnit,
    numbers: Sequence[tuple[Student, str]],
    at: datetime,
    reasons: str | None = None,
) -> UUID:
    """Insert open proposals as one batch, and emit one event for it; returns the batch's id."""
    batch_id, proposed_by = new_id(), scope_of(session).account_id
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "school_id": school.id,
            "student_id": student.id,
            "batch_id": batch_id,
            "old_phone": student.phone,
            "new_phone": number,
            "reasons": reasons,
            "proposed_by": proposed_by,
            "proposed_at": at,
            "state": PhoneChangeState.OPEN,
        }
        for student, number in numbers
    ]
    if not rows:
        return batch_id
    await insert_rows(session, PhoneChange, rows)
    acts = [
        audit.Act(
            "phone.proposed",
            "student",
            str(row["student_id"]),
            school.path,
            before=_masked(row["old_phone"]),
            after=_masked(row["new_phone"]),
        )
        for row in rows
    ]
    await audit.record_all(session, ((act, at) for act in acts))
    event = PhoneChangesProposed(school_id=school.id, path=school.path, batch_id=batch_id, students=len(rows))
    await outbox.emit(session, event, at)
    return batch_id


async def _close(
    session: AsyncSession,
    school_path: str,
    change: PhoneChange,
    state: PhoneChangeState,
    reasons: str | None,
    at: datetime,
) -> None:
    change.state, change.decision_reasons, change.decided_at = state.value, reasons, at
    change.decided_by = scope_of(session).account_id
    await session.flush()
    act = audit.Act(
        "phone.proposal_closed",
        "student",
        str(change.student_id),
        school_path,
        before={"state": PhoneChangeState.OPEN.value},
        after={"state": state.value, "change_id": str(change.id)},
    )
    audit.record(session, act, at)
    event = PhoneChangeDecided(
        school_id=change.school_id,
        path=school_path,
        student_id=change.student_id,
        change_id=change.id,
        state=state.value,
    )
    await outbox.emit(session, event, at)


def _write_number(
    session: AsyncSession, school_path: str, student: Student, phone: str, at: datetime
) -> None:
    act = audit.Act(
        "phone.changed",
        "student",
        str(student.id),
        school_path,
        before=_masked(student.phone),
        after=_masked(phone),
    )
    student.phone, student.updated_at = phone, at
    audit.record(session, act, at)


def _masked(phone: str | None) -> dict[str, str | None]:
    return {"phone": mask(phone) if phone else None}
