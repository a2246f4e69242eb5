"""End appeals that have nothing left to decide: the change under appeal was reversed in another way (HN334-4.2)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.events import AppealWithdrawn
from backend.appeal.queries import IS_OPEN, AppealView, select_appeals
from backend.appeal.statements import event_fields, lock_appeal
from backend.core import audit, outbox
from backend.standing.appeal_effects import record_end
from backend.standing.engine.ledger import sanctions_in_force
from backend.standing.events import StandingChanged
from backend.standing.store.lock import assess_locked_student, lock_for_assessment
from backend.standing.store.save import recompute_locked
from backend.standing.store.tables import AppealFiled

_REVERSING_CAUSES = {"appeal", "reversal"}


async def end_appeals_without_object(session: AsyncSession, event: StandingChanged, at: datetime) -> int:
    """End each open appeal against a change that is no longer in force; returns their number. Safe to run twice.

    Until it ends, such an appeal would block every prompt of the student, and its deadline would run.
    """
    if event.cause not in _REVERSING_CAUSES:
        return 0
    locked = await lock_for_assessment(session, event.student_id, at)
    _, assessment = await assess_locked_student(session, locked)
    in_force = {entry.entry_id for entry in sanctions_in_force(assessment.ledger)}
    ended = 0
    for appeal in await _load_open_appeals(session, event.student_id):
        if appeal.filed.target_id in in_force:
            continue
        await lock_appeal(session, appeal.filed.id)
        await record_end(session, locked, appeal.filed)
        path = locked.subject.path
        audit.record(session, audit.Act("appeal_ended", "appeal", str(appeal.filed.id), path), locked.at)
        await outbox.emit(session, AppealWithdrawn(**event_fields(appeal, path)), locked.at)
        ended += 1
    if ended:
        await recompute_locked(session, locked)
    return ended


async def _load_open_appeals(session: AsyncSession, student_id: UUID) -> list[AppealView]:
    rows = await session.execute(
        select_appeals().where(AppealFiled.student_id == student_id, AppealFiled.target == "change", IS_OPEN)
    )
    return [AppealView(*row) for row in rows]
