"""The cool-down after a change of phone: what waits, and what works at once and is reported to the counselor.

New consents about the face and contact data wait, because a person who took an account over would begin with them. What
protects the student never waits: revoking a consent, the non-face route, reasons, statements and appeals.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import outbox
from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE
from backend.core.ids import new_id
from backend.identity.devices.service import load_active_device
from backend.identity.devices.tables import CoolDownAct
from backend.identity.errors import CoolDownActive
from backend.identity.events import CoolDownActRecorded
from backend.identity.tables import DeviceKey

CoolDownActKind = Literal[
    "consent_revoked", "non_face_route", "reason_claim", "statement", "appeal", "appeal_message"
]


async def load_cooling_device(session: AsyncSession, student_id: UUID, at: datetime) -> DeviceKey | None:
    """The student's active key if it is in its cool-down."""
    device = await load_active_device(session, student_id)
    until = device.cool_down_until if device else None
    return device if until is not None and at < until else None


async def require_no_cool_down(session: AsyncSession, student_id: UUID, at: datetime) -> None:
    """Raise `CoolDownActive` during the cool-down."""
    device = await load_cooling_device(session, student_id, at)
    if device is not None and device.cool_down_until is not None:
        raise CoolDownActive(until=device.cool_down_until.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M"))


async def record_cool_down_act(
    session: AsyncSession, actor: Actor, kind: CoolDownActKind, subject_id: UUID | None, at: datetime
) -> None:
    """Mark an act of the student during the cool-down and have the counselor told; nothing outside it."""
    assert actor.student_id is not None
    assert actor.school_id is not None
    device = await load_cooling_device(session, actor.student_id, at)
    if device is None:
        return
    act = CoolDownAct(
        id=new_id(),
        school_id=actor.school_id,
        student_id=actor.student_id,
        device_id=device.id,
        kind=kind,
        subject_id=subject_id,
        at=at,
    )
    session.add(act)
    event = CoolDownActRecorded(
        school_id=act.school_id, path=actor.org_path, student_id=act.student_id, act_id=act.id, kind=kind
    )
    await outbox.emit(session, event, at)


async def load_cool_down_acts(session: AsyncSession, student_id: UUID) -> list[CoolDownAct]:
    """All marked acts of a student, newest first."""
    query = (
        select(CoolDownAct)
        .where(CoolDownAct.student_id == student_id)
        .order_by(CoolDownAct.at.desc(), CoolDownAct.id.desc())
    )
    return list(await session.scalars(query))
