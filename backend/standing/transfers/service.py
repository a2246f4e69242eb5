"""Deciding on quarantined enrolments: a unit above both schools, once, with reasons (MOE19-2.4, reading 23)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.people.events import QuarantineDecided
from backend.people.tables import QuarantinedEnrolment
from backend.standing.transfers.errors import NotOverBothSchools, QuarantineClosed
from backend.standing.transfers.queries import QuarantineView, load_quarantined
from backend.standing.transfers.records import close_record, enrol_row, open_record
from backend.standing.transfers.rules import BY_SUPERIOR, QuarantineState, is_over_both


@dataclass(frozen=True, slots=True)
class DecideQuarantine:
    """A decision on a quarantined row, and how it was verified."""

    quarantine_id: UUID
    outcome: QuarantineState
    reasons: str


async def decide_quarantine(
    session: AsyncSession, actor: Actor, command: DecideQuarantine, at: datetime
) -> QuarantineView:
    """Decide on a quarantined row, and delete its personal data: a transfer moves them to the new student.

    Raises `NotFound`, `NotPermitted`, `NotOverBothSchools`, `QuarantineClosed`; for a transfer also `RecordLocked`,
    `ChangeUnfit`, `StudentNumberTaken`.
    """
    view = await load_quarantined(session, actor, command.quarantine_id)
    _require_may_decide(actor, view, command.outcome)
    row = await _lock_open(session, command.quarantine_id)
    if command.outcome is QuarantineState.TRANSFERRED:
        closed = await close_record(session, actor, row.holder_student_id, at)
        student = await enrol_row(session, view.school, row, at)
        await open_record(session, view.school, student, closed, at)
    _delete_personal_data(row)
    row.state, row.reasons = command.outcome.value, command.reasons
    row.decided_by, row.decided_at = actor.account_id, at
    await session.flush()
    await _publish(session, view, at)
    return await load_quarantined(session, actor, command.quarantine_id)


def _require_may_decide(actor: Actor, view: QuarantineView, outcome: QuarantineState) -> None:
    if outcome is QuarantineState.WITHDRAWN:
        if actor.role != "registrar" or actor.school_id != view.row.school_id:
            raise NotPermitted(
                reason_zh="只有导入该行的学校可以撤回",
                reason_en="only the school that imported the row can withdraw it",
            )
        return
    if actor.role == "registrar" or outcome not in BY_SUPERIOR:
        raise NotPermitted(
            reason_zh="重复学籍由两校共同的上级教育部门核定",
            reason_en="the authority above both schools decides on quarantined enrolments",
        )
    if not is_over_both(actor, view.school.path, view.holder.path):
        raise NotOverBothSchools(unit=view.deciding_unit.name)


async def _lock_open(session: AsyncSession, quarantine_id: UUID) -> QuarantinedEnrolment:
    locked = (
        select(QuarantinedEnrolment)
        .where(QuarantinedEnrolment.id == quarantine_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = (await session.scalars(locked)).one()
    if row.state != QuarantineState.OPEN:
        raise QuarantineClosed
    return row


def _delete_personal_data(row: QuarantinedEnrolment) -> None:
    row.row_data = {}
    row.id_number_sealed = row.student_number_sealed = row.student_number_index = None


async def _publish(session: AsyncSession, view: QuarantineView, at: datetime) -> None:
    row = view.row
    act = audit.Act(
        "enrolment.decided",
        "quarantined_enrolment",
        str(row.id),
        view.school.path,
        before={"state": QuarantineState.OPEN.value},
        after={"state": row.state, "holder_student": str(row.holder_student_id)},
    )
    audit.record(session, act, at)
    event = QuarantineDecided(
        school_id=row.school_id,
        path=view.school.path,
        holder_school_id=row.holder_school_id,
        holder_path=view.holder.path,
        quarantine_id=row.id,
        state=row.state,
    )
    await outbox.emit(session, event, at)
