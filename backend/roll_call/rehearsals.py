"""After a rehearsal, the counselor says who was there (HN334-3.3). Face thresholds are learned from these check-ins."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.bilingual import format_instant
from backend.core.errors import NotFound, NotPermitted
from backend.identity.face.calibration.confirmation import ConfirmRehearsal, confirm_rehearsal
from backend.identity.face.calibration.errors import NotARehearsal, RehearsalStillOpen
from backend.identity.face.calibration.probes import ProbeRow, load_class_probes
from backend.identity.face.calibration.tables import RehearsalConfirmation
from backend.roll_call.access import access_roll_call, select_counselor_classes
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.rules import REHEARSAL
from backend.roll_call.tables import RollCall, RollCallClass


@dataclass(frozen=True, slots=True)
class RehearsalClass:
    """The check-ins of one class in a rehearsal, and the confirmation if there is one."""

    class_id: UUID
    check_ins: list[ProbeRow]
    confirmation: RehearsalConfirmation | None


async def load_rehearsal_classes(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> list[RehearsalClass]:
    """The check-ins of the counselor's classes whose faces may be learned from; a registrar sees every class.

    Raises `NotFound`, `NotARehearsal` or `NotPermitted`.
    """
    roll_call = await _access_rehearsal(session, actor, roll_call_id, at)
    classes = await _load_own_classes(session, actor, roll_call)
    confirmed = await session.scalars(
        select(RehearsalConfirmation).where(
            RehearsalConfirmation.roll_call_id == roll_call_id, RehearsalConfirmation.class_id.in_(classes)
        )
    )
    by_class = {each.class_id: each for each in confirmed}
    return [
        RehearsalClass(
            class_id,
            list(await load_class_probes(session, roll_call_id, class_id)),
            by_class.get(class_id),
        )
        for class_id in classes
    ]


async def confirm_class(
    session: AsyncSession,
    actor: Actor,
    roll_call_id: UUID,
    class_id: UUID,
    excluded: Collection[UUID],
    at: datetime,
) -> RehearsalConfirmation:
    """Record that the students of a class who checked in were in front of the counselor, except the excluded ones.

    Only the counselor of the class may say so, and only after the window. Raises `NotFound`, `NotPermitted`,
    `NotARehearsal`, `RehearsalStillOpen` and the errors of `confirm_rehearsal`.
    """
    roll_call = await _access_rehearsal(session, actor, roll_call_id, at)
    if actor.role != "counselor" or actor.school_id is None:
        raise NotPermitted(
            reason_zh="仅在场的辅导员可以确认", reason_en="only the counselor who was there may confirm"
        )
    if class_id not in await _load_own_classes(session, actor, roll_call):
        raise NotFound
    if at <= roll_call.deadline:
        raise RehearsalStillOpen(closes_at=format_instant(roll_call.deadline))
    command = ConfirmRehearsal(roll_call_id, actor.school_id, class_id, set(excluded))
    return await confirm_rehearsal(session, actor, command, roll_call_policy(roll_call), at)


async def _access_rehearsal(
    session: AsyncSession, actor: Actor, roll_call_id: UUID, at: datetime
) -> RollCall:
    roll_call = await access_roll_call(session, actor, roll_call_id, at)
    if actor.school_id is None:
        raise NotPermitted(
            reason_zh="仅本校人员可以查看",
            reason_en="only staff of the school see the check-ins of a rehearsal",
        )
    if roll_call.kind != REHEARSAL:
        raise NotARehearsal
    return roll_call


async def _load_own_classes(session: AsyncSession, actor: Actor, roll_call: RollCall) -> list[UUID]:
    own = select(RollCallClass.class_id).where(
        RollCallClass.term_code == roll_call.term_code,
        RollCallClass.roll_call_id == roll_call.id,
        RollCallClass.school_id == actor.school_id,
    )
    counselor_classes = select_counselor_classes(actor)
    if counselor_classes is not None:
        own = own.where(RollCallClass.class_id.in_(counselor_classes))
    return list(await session.scalars(own.order_by(RollCallClass.class_id)))
