"""Device keys: one active key per student, one student per key (invariant 11)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.identity.errors import DeviceBoundElsewhere, KeyRevoked
from backend.identity.events import DeviceBound, DeviceRebound, DeviceRevoked
from backend.identity.tables import DeviceKey
from backend.notice.push.subscriptions import remove_push_subscription
from backend.people.queries import classes_of_counselor
from backend.people.tables import Student

REBOUND = "rebound"
"""The reason of a key that was revoked because the student bound another phone."""


@dataclass(frozen=True, slots=True)
class BindDevice:
    """A key whose possession the phone has proven.

    If it replaces another key, each check-in during `cool_down` needs a second check.
    """

    jkt: str
    public_jwk: dict[str, str]
    cool_down: timedelta


@dataclass(frozen=True, slots=True)
class RevokeDevice:
    """Revoke the key of a phone that was lost or lent."""

    student_id: UUID
    reason: str


async def load_active_device(session: AsyncSession, student_id: UUID) -> DeviceKey | None:
    """The student's active key; check-ins before its `cool_down_until` need a second check."""
    active = select(DeviceKey).where(DeviceKey.student_id == student_id, DeviceKey.status == "active")
    return (await session.scalars(active)).one_or_none()


async def require_active_device(session: AsyncSession, actor: Actor) -> DeviceKey:
    """The calling phone's key. Raises `KeyRevoked` if it was replaced since the request was authenticated."""
    assert actor.student_id is not None
    device = await load_active_device(session, actor.student_id)
    if device is None:
        raise KeyRevoked
    return device


async def has_ever_bound(session: AsyncSession, student_id: UUID) -> bool:
    """Whether the student ever bound a phone, so that another one is a replacement."""
    return bool(await session.scalar(select(exists().where(DeviceKey.student_id == student_id))))


async def bind_device(session: AsyncSession, actor: Actor, command: BindDevice, at: datetime) -> DeviceKey:
    """Make the key the student's only active one.

    The unique constraints resolve races. Raises `DeviceBoundElsewhere` for a key that was ever bound before,
    `Conflict` if another phone was bound at the same moment.
    """
    assert actor.school_id is not None
    assert actor.student_id is not None
    had_one = await has_ever_bound(session, actor.student_id)
    await revoke_active_key(session, actor.student_id, REBOUND, at)
    device = DeviceKey(
        id=new_id(),
        school_id=actor.school_id,
        student_id=actor.student_id,
        jkt=command.jkt,
        public_jwk=command.public_jwk,
        status="active",
        bound_at=at,
        cool_down_until=at + command.cool_down if had_one else None,
    )
    session.add(device)
    try:
        await session.flush()
    except IntegrityError as error:
        if "uq_device_key_jkt" in str(error.orig):
            raise DeviceBoundElsewhere from error
        raise Conflict(
            reason_zh="另一台手机刚刚完成绑定，请重新获取验证码",
            reason_en="another phone was bound just now; ask for a new code",
        ) from error
    event_type = DeviceRebound if had_one else DeviceBound
    event = event_type(
        school_id=device.school_id,
        student_id=device.student_id,
        device_id=device.id,
        cool_down_until=device.cool_down_until,
    )
    await outbox.emit(session, event, at)
    _audit(session, actor, event_type.__name__, actor.student_id, {"jkt": command.jkt}, at)
    return device


async def revoke_device(session: AsyncSession, actor: Actor, command: RevokeDevice, at: datetime) -> None:
    """Revoke a student's key, by the registrar; it is refused at the next request."""
    visible = select(Student).where(Student.id == command.student_id)
    if actor.role == "counselor":
        visible = visible.where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    student = (await session.scalars(visible)).one_or_none()
    if student is None:
        raise NotFound
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="仅学校管理员可以解绑学生手机",
            reason_en="only the registrar can revoke a student's phone",
        )
    ended = await revoke_active_key(session, command.student_id, command.reason, at)
    if ended is None:
        raise Conflict(reason_zh="该生没有已绑定的手机", reason_en="the student has no bound phone")
    await outbox.emit(session, DeviceRevoked(school_id=student.school_id, student_id=student.id), at)
    _audit(session, actor, "DeviceRevoked", student.id, {"jkt": ended, "reason": command.reason}, at)


async def revoke_active_key(session: AsyncSession, student_id: UUID, reason: str, at: datetime) -> str | None:
    """Revoke the student's active key, and end its notifications. Returns its thumbprint, None if there was none."""
    ended = await session.execute(
        update(DeviceKey)
        .where(DeviceKey.student_id == student_id, DeviceKey.status == "active")
        .values(status="revoked", revoked_at=at, revoked_reason=reason)
        .returning(DeviceKey.jkt)
    )
    await remove_push_subscription(session, student_id)
    return ended.scalar_one_or_none()


def _audit(
    session: AsyncSession, actor: Actor, action: str, student_id: UUID, after: dict[str, str], at: datetime
) -> None:
    audit.record(session, audit.Act(action, "student", str(student_id), actor.org_path, after=after), at)
