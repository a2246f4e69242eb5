"""A counselor confirms who was present at a rehearsal of their class; only then are its probes learned from."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.identity.events import RehearsalConfirmed
from backend.identity.face.calibration.errors import RehearsalAlreadyConfirmed, StudentNotInRehearsal
from backend.identity.face.calibration.probes import delete_oldest_probes
from backend.identity.face.calibration.tables import FaceCalibrationProbe, RehearsalConfirmation
from backend.policy import PolicyAt


@dataclass(frozen=True, slots=True)
class ConfirmRehearsal:
    """The statement: all students of the class who checked in were present, except these."""

    roll_call_id: UUID
    school_id: UUID
    class_id: UUID
    excluded: Collection[UUID]


async def confirm_rehearsal(
    session: AsyncSession, actor: Actor, command: ConfirmRehearsal, policy: PolicyAt, at: datetime
) -> RehearsalConfirmation:
    """Label the probes of the class and delete those of excluded students. Once per rehearsal and class.

    The caller has checked that the actor is responsible for the class. Raises `RehearsalAlreadyConfirmed`, and
    `StudentNotInRehearsal` if an excluded student did not check in.
    """
    of_class = (
        FaceCalibrationProbe.roll_call_id == command.roll_call_id,
        FaceCalibrationProbe.class_id == command.class_id,
    )
    earlier = select(RehearsalConfirmation.id).where(
        RehearsalConfirmation.roll_call_id == command.roll_call_id,
        RehearsalConfirmation.class_id == command.class_id,
    )
    if await session.scalar(earlier) is not None:
        raise RehearsalAlreadyConfirmed
    shown = set(await session.scalars(select(FaceCalibrationProbe.student_id).where(*of_class)))
    if not set(command.excluded) <= shown:
        raise StudentNotInRehearsal
    confirmed = shown - set(command.excluded)
    row = {
        "id": new_id(),
        "school_id": command.school_id,
        "roll_call_id": command.roll_call_id,
        "class_id": command.class_id,
        "account_id": actor.account_id,
        "confirmed": len(confirmed),
        "excluded": len(command.excluded),
        "at": at,
    }
    added = (
        insert(RehearsalConfirmation).values(row).on_conflict_do_nothing().returning(RehearsalConfirmation)
    )
    confirmation = (await session.scalars(added)).one_or_none()
    if confirmation is None:  # confirmed in the meantime
        raise RehearsalAlreadyConfirmed
    await session.execute(
        delete(FaceCalibrationProbe).where(*of_class, FaceCalibrationProbe.student_id.in_(command.excluded))
    )
    await session.execute(
        update(FaceCalibrationProbe)
        .where(*of_class, FaceCalibrationProbe.student_id.in_(confirmed))
        .values(confirmation_id=confirmation.id)
    )
    await delete_oldest_probes(session, confirmed, policy.integer("retention.face_probes"))
    after = {"class": str(command.class_id), "confirmed": len(confirmed), "excluded": len(command.excluded)}
    act = audit.Act("RehearsalConfirmed", "roll_call", str(command.roll_call_id), actor.org_path, after=after)
    audit.record(session, act, at)
    event = RehearsalConfirmed(
        school_id=command.school_id,
        path=actor.org_path,
        roll_call_id=command.roll_call_id,
        confirmation_id=confirmation.id,
        confirmed=len(confirmed),
        excluded=len(command.excluded),
    )
    await outbox.emit(session, event, at)
    return confirmation


async def count_confirmed(session: AsyncSession, school_id: UUID) -> tuple[int, int]:
    """The number of confirmations of a school, and of its students with a confirmed probe."""
    confirmations = select(func.count()).where(
        RehearsalConfirmation.school_id == school_id, RehearsalConfirmation.confirmed > 0
    )
    people = select(func.count(FaceCalibrationProbe.student_id.distinct())).where(
        FaceCalibrationProbe.school_id == school_id, FaceCalibrationProbe.confirmation_id.is_not(None)
    )
    return await session.scalar(confirmations) or 0, await session.scalar(people) or 0
