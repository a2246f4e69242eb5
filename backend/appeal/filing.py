"""Filing an appeal, carrying a rejected one up, taking one back (HN334-4.2)."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.errors import EligibleAlready, NotThisGaokao
from backend.appeal.gaokao import eligibility
from backend.appeal.parties import parties_to
from backend.appeal.policy import AppealPolicy
from backend.appeal.queries import AppealView, appeal_for, computed_due
from backend.appeal.rules import Authority, exam_year, instance
from backend.appeal.statements import Said, lock_appeal, must_be_appellant, must_be_open, payload, say
from backend.appeal.tables import AppealCase, AppealDue
from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.org.queries import superiors
from backend.standing.appeal_effects import (
    Filed,
    NewAppeal,
    Target,
    hold_kept,
    keep_after,
    record_appeal,
    record_withdrawal,
)


@dataclass(frozen=True, slots=True)
class AgainstCheck:
    """The result of a roll call."""

    roll_call_id: UUID


@dataclass(frozen=True, slots=True)
class AgainstChange:
    """A standing change, by its entry of the ledger."""

    change_id: UUID


@dataclass(frozen=True, slots=True)
class AgainstIneligibility:
    """That the student was not eligible for the coming gaokao on a day."""

    on: date


Matter = AgainstCheck | AgainstChange | AgainstIneligibility


@dataclass(frozen=True, slots=True)
class FileAppeal:
    """The command. `student_id`: whom a registrar files for; a student files for nobody else."""

    matter: Matter
    grounds: Said
    student_id: UUID | None = None


async def file_appeal(session: AsyncSession, actor: Actor, command: FileAppeal, at: datetime) -> AppealView:
    """File at level one. While it is open, no prompt on the student is executed (reading 12).

    Raises `NotFound`, `NotPermitted`, what `record_appeal` refuses, and for a gaokao `NotThisGaokao` and
    `EligibleAlready`.
    """
    student_id = _whom(actor, command)
    target, target_id = _target(actor, command.matter, at)
    new = NewAppeal(student_id, target, target_id)
    filed = await record_appeal(session, actor, new, at)
    judged_on = None
    if isinstance(command.matter, AgainstIneligibility):
        judged_on = command.matter.on
        await _must_be_ineligible(session, filed, judged_on)
    above = await _authorities(session, filed)
    parties = await parties_to(session, student_id, new.target, new.target_id)
    unit = instance(above, parties.units)
    return await _open_case(session, actor, filed, _Route(1, unit, judged_on), command.grounds)


async def carry_up(
    session: AsyncSession, actor: Actor, appeal_id: UUID, grounds: Said, at: datetime
) -> AppealView:
    """Take a rejected appeal to the authority above, once. Raises `NotFound`, `NotPermitted` and as `record_appeal`."""
    rejected = await appeal_for(session, actor, appeal_id)
    must_be_appellant(actor, rejected)
    below = rejected.filed
    new = NewAppeal(below.student_id, cast("Target", below.target), below.target_id, previous=below.id)
    filed = await record_appeal(session, actor, new, at)
    above = await _authorities(session, filed)
    parties = await parties_to(session, below.student_id, below.target, below.target_id)
    unit = instance(above, parties.units, rejected.case.unit_id)
    route = _Route(rejected.case.level + 1, unit, rejected.case.judged_on)
    return await _open_case(session, actor, filed, route, grounds)


async def withdraw(
    session: AsyncSession, actor: Actor, appeal_id: UUID, reason: str | None, at: datetime
) -> AppealView:
    """The appellant takes an open appeal back, for good. Raises `NotFound`, `NotPermitted`, `AppealClosed`."""
    seen = await appeal_for(session, actor, appeal_id)
    must_be_appellant(actor, seen)
    held, _ = await hold_kept(session, actor, seen.filed.student_id, at)
    await lock_appeal(session, appeal_id)
    appeal = await appeal_for(session, actor, appeal_id)
    must_be_open(appeal)
    await record_withdrawal(session, actor, held, appeal.filed, reason)
    act = audit.Act("appeal_withdrawn", "appeal", str(appeal_id), held.subject.path)
    audit.record(session, act, held.at)
    await outbox.emit(session, "AppealWithdrawn", payload(appeal, held.subject.path), held.at)
    await keep_after(session, actor, held)
    return await appeal_for(session, actor, appeal_id)


def _whom(actor: Actor, command: FileAppeal) -> UUID:
    if actor.role == "student" and actor.student_id is not None:
        return actor.student_id
    if actor.role == "registrar" and command.student_id is not None:
        return command.student_id
    raise NotPermitted(
        reason_zh="申诉由学生本人或学校管理员提出", reason_en="the student or the school's registrar appeals"
    )


def _target(actor: Actor, matter: Matter, at: datetime) -> tuple[Target, str]:
    match matter:
        case AgainstCheck(roll_call_id):
            return "check", str(roll_call_id)
        case AgainstChange(change_id):
            return "change", str(change_id)
        case AgainstIneligibility(on):
            return "gaokao", str(_this_gaokao(actor, on, at))


def _this_gaokao(actor: Actor, on: date, at: datetime) -> int:
    """One matter a year: eligibility for the examination that is coming up."""
    today = legal_day(at)
    month = AppealPolicy.on(today, actor.org_path).gaokao_month
    coming = exam_year(today, month)
    if on > today or exam_year(on, month) != coming:
        raise NotThisGaokao(exam_year=coming)
    return coming


async def _must_be_ineligible(session: AsyncSession, filed: Filed, on: date) -> None:
    found = await eligibility(session, filed.appeal.student_id, on, filed.held.at)
    if found.eligible:
        raise EligibleAlready(on=on, exam_year=found.exam_year)


async def _authorities(session: AsyncSession, filed: Filed) -> list[Authority]:
    units = await superiors(session, filed.appeal.school_id)
    return [Authority(unit.id, unit.path) for unit in units]


@dataclass(frozen=True, slots=True)
class _Route:
    level: int
    unit: Authority
    judged_on: date | None


async def _open_case(
    session: AsyncSession, actor: Actor, filed: Filed, route: _Route, grounds: Said
) -> AppealView:
    """The case with its term and its grounds, told and audited; what follows for standing is kept."""
    row, path, at = filed.appeal, filed.held.subject.path, filed.held.at
    of = {"appeal_id": row.id, "school_id": row.school_id, "student_id": row.student_id}
    unit = route.unit
    session.add(
        AppealCase(**of, level=route.level, unit_id=unit.id, unit_path=unit.path, judged_on=route.judged_on)
    )
    await session.flush()
    due = await computed_due(session, row.filed_at, path)
    if due.at is not None:
        session.add(AppealDue(**of, due_at=due.at, computed_at=at))
        await session.flush()
    appeal = await appeal_for(session, actor, row.id)
    await say(session, actor, appeal, "appellant", grounds, at)
    facts = {
        "appellant": row.appellant,
        "target": row.target,
        "target_id": row.target_id,
        "level": route.level,
        "unit": str(unit.id),
    }
    audit.record(session, audit.Act("appeal_filed", "appeal", str(row.id), path, after=facts), at)
    await outbox.emit(session, "AppealFiled", payload(appeal, path), at)
    await keep_after(session, actor, filed.held)
    return appeal
