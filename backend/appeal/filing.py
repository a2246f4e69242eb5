"""File an appeal, take a rejected one to the next level, withdraw one (HN334-4.2)."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.errors import EligibleAlready, NotThisGaokao
from backend.appeal.events import AppealFiled, AppealWithdrawn
from backend.appeal.gaokao import load_eligibility
from backend.appeal.parties import load_parties
from backend.appeal.policy import AppealPolicy
from backend.appeal.queries import AppealView, compute_deadline, load_appeal
from backend.appeal.rules import Authority, deciding_authority, exam_year
from backend.appeal.statements import (
    NewMessage,
    append_message,
    event_fields,
    lock_appeal,
    require_appellant,
    require_open,
)
from backend.appeal.tables import AppealCase, AppealDue
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.org.queries import list_superiors
from backend.standing.appeal_effects import (
    NewAppeal,
    RecordedAppeal,
    Target,
    lock_for_appeal,
    record_appeal,
    record_withdrawal,
    save_appeal_consequences,
)


@dataclass(frozen=True, slots=True)
class AgainstCheck:
    """The result of a roll call."""

    roll_call_id: UUID


@dataclass(frozen=True, slots=True)
class AgainstChange:
    """A change of standing, by its ledger entry."""

    change_id: UUID


@dataclass(frozen=True, slots=True)
class AgainstIneligibility:
    """That the student was not eligible for the upcoming gaokao on a day."""

    on: date


AppealSubject = AgainstCheck | AgainstChange | AgainstIneligibility


@dataclass(frozen=True, slots=True)
class FileAppeal:
    """The appeal to file. `student_id` is the student that a registrar files for; None if a student files."""

    subject: AppealSubject
    grounds: NewMessage
    student_id: UUID | None = None


async def file_appeal(session: AsyncSession, actor: Actor, command: FileAppeal, at: datetime) -> AppealView:
    """File an appeal at level one. While it is open, no prompt of the student is executed (reading 12).

    Raises `NotFound`, `NotPermitted`, the errors of `record_appeal`, and for a gaokao `NotThisGaokao` and
    `EligibleAlready`.
    """
    student_id = _resolve_student_id(actor, command)
    target, target_id = _resolve_target(actor, command.subject, at)
    new = NewAppeal(student_id, target, target_id)
    filed = await record_appeal(session, actor, new, at)
    judged_on = None
    if isinstance(command.subject, AgainstIneligibility):
        judged_on = command.subject.on
        await _require_ineligible(session, filed, judged_on)
    authorities = await _load_authorities(session, filed)
    parties = await load_parties(session, student_id, new.target, new.target_id)
    unit = deciding_authority(authorities, parties.units)
    return await _open_case(session, actor, filed, _Route(1, unit, judged_on), command.grounds)


async def appeal_to_next_level(
    session: AsyncSession, actor: Actor, appeal_id: UUID, grounds: NewMessage, at: datetime
) -> AppealView:
    """Take a rejected appeal to the next level, once.

    Raises `NotFound`, `NotPermitted` and the errors of `record_appeal`.
    """
    rejected = await load_appeal(session, actor, appeal_id)
    require_appellant(actor, rejected)
    previous = rejected.filed
    new = NewAppeal(
        previous.student_id, cast("Target", previous.target), previous.target_id, previous=previous.id
    )
    filed = await record_appeal(session, actor, new, at)
    authorities = await _load_authorities(session, filed)
    parties = await load_parties(session, previous.student_id, previous.target, previous.target_id)
    unit = deciding_authority(authorities, parties.units, rejected.case.unit_id)
    route = _Route(rejected.case.level + 1, unit, rejected.case.judged_on)
    return await _open_case(session, actor, filed, route, grounds)


async def withdraw_appeal(
    session: AsyncSession, actor: Actor, appeal_id: UUID, reason: str | None, at: datetime
) -> AppealView:
    """Withdraw an open appeal as its appellant; final. Raises `NotFound`, `NotPermitted`, `AppealClosed`."""
    unlocked_appeal = await load_appeal(session, actor, appeal_id)
    require_appellant(actor, unlocked_appeal)
    locked, _ = await lock_for_appeal(session, actor, unlocked_appeal.filed.student_id, at)
    await lock_appeal(session, appeal_id)
    appeal = await load_appeal(session, actor, appeal_id)
    require_open(appeal)
    await record_withdrawal(session, actor, locked, appeal.filed, reason)
    act = audit.Act("appeal_withdrawn", "appeal", str(appeal_id), locked.subject.path)
    audit.record(session, act, locked.at)
    await outbox.emit(session, AppealWithdrawn(**event_fields(appeal, locked.subject.path)), locked.at)
    await save_appeal_consequences(session, actor, locked)
    return await load_appeal(session, actor, appeal_id)


def _resolve_student_id(actor: Actor, command: FileAppeal) -> UUID:
    if actor.role == "student" and actor.student_id is not None:
        return actor.student_id
    if actor.role == "registrar" and command.student_id is not None:
        return command.student_id
    raise NotPermitted(
        reason_zh="申诉由学生本人或学校管理员提出",
        reason_en="only the student or the school's registrar may appeal",
    )


def _resolve_target(actor: Actor, subject: AppealSubject, at: datetime) -> tuple[Target, str]:
    match subject:
        case AgainstCheck(roll_call_id):
            return "check", str(roll_call_id)
        case AgainstChange(change_id):
            return "change", str(change_id)
        case AgainstIneligibility(on):
            return "gaokao", str(_upcoming_exam_year(actor, on, at))


def _upcoming_exam_year(actor: Actor, on: date, at: datetime) -> int:
    """The exam year of the day, which must be that of the upcoming gaokao: one appeal per exam year."""
    today = legal_day(at)
    month = AppealPolicy.on(today, actor.org_path).gaokao_month
    upcoming = exam_year(today, month)
    if on > today or exam_year(on, month) != upcoming:
        raise NotThisGaokao(exam_year=upcoming)
    return upcoming


async def _require_ineligible(session: AsyncSession, filed: RecordedAppeal, on: date) -> None:
    eligibility = await load_eligibility(session, filed.appeal.student_id, on, filed.locked_student.at)
    if eligibility.eligible:
        raise EligibleAlready(on=on, exam_year=eligibility.exam_year)


async def _load_authorities(session: AsyncSession, filed: RecordedAppeal) -> list[Authority]:
    units = await list_superiors(session, filed.appeal.school_id)
    return [Authority(unit.id, unit.path) for unit in units]


@dataclass(frozen=True, slots=True)
class _Route:
    """The level and the deciding authority of an appeal."""

    level: int
    unit: Authority
    judged_on: date | None


async def _open_case(
    session: AsyncSession, actor: Actor, filed: RecordedAppeal, route: _Route, grounds: NewMessage
) -> AppealView:
    """Insert the case, its deadline and the grounds; audit, emit the event and recompute the student."""
    row, path, at = filed.appeal, filed.locked_student.subject.path, filed.locked_student.at
    keys = {"appeal_id": row.id, "school_id": row.school_id, "student_id": row.student_id}
    unit = route.unit
    session.add(
        AppealCase(**keys, level=route.level, unit_id=unit.id, unit_path=unit.path, judged_on=route.judged_on)
    )
    await session.flush()
    deadline = await compute_deadline(session, row.filed_at, path)
    if deadline.at is not None:
        session.add(AppealDue(**keys, due_at=deadline.at, computed_at=at))
        await session.flush()
    appeal = await load_appeal(session, actor, row.id)
    await append_message(session, actor, appeal, "appellant", grounds, at)
    after = {
        "appellant": row.appellant,
        "target": row.target,
        "target_id": row.target_id,
        "level": route.level,
        "unit": str(unit.id),
        **actor.guardian_fields,
    }
    audit.record(session, audit.Act("appeal_filed", "appeal", str(row.id), path, after=after), at)
    await outbox.emit(session, AppealFiled(**event_fields(appeal, path)), at)
    await save_appeal_consequences(session, actor, filed.locked_student)
    return appeal
