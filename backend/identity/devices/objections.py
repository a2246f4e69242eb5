"""Objections of an old phone to its replacement. The school decides in person; an upheld one revokes the new phone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.identity.devices.service import REBOUND, load_active_device, revoke_active_key
from backend.identity.devices.tables import RebindingObjection, RebindingObjectionDecision
from backend.identity.errors import KeyRevoked
from backend.identity.events import DeviceRevoked, RebindingObjected
from backend.identity.policy import province_policy
from backend.identity.sign_in.authentication import VerifiedProof
from backend.identity.tables import DeviceKey
from backend.people.queries import classes_of_counselor
from backend.people.tables import SchoolClass, Student

ObjectionOutcome = Literal["upheld", "dismissed"]


async def object_to_rebinding(
    app_context: AppContext, verified: VerifiedProof, note: str | None
) -> RebindingObjection:
    """Record the objection of the phone whose key was replaced; it proves possession of the old key.

    The cool-down of the new phone starts again. Raises `KeyRevoked` for a key that was not replaced, `Conflict` for the
    bound key itself, and if the new phone is not bound any more or its cool-down is over. Repeating returns the first objection.
    """
    actor, at = verified.state.actor, app_context.clock()
    if actor is None or actor.student_id is None or actor.school_id is None:
        raise KeyRevoked
    if verified.state.key_active:
        raise Conflict(
            reason_zh="本机就是当前绑定的手机，请在被替换的原手机上提出异议",
            reason_en="this phone is the bound one; object on the phone that it replaced",
        )
    cool_down = province_policy(app_context, at).duration("identity.device_rebind.cool_down")
    async with app_context.database.transaction(actor.scope) as session:
        replaced = select(DeviceKey).where(
            DeviceKey.jkt == verified.proof.jkt, DeviceKey.revoked_reason == REBOUND
        )
        old = (await session.scalars(replaced)).one_or_none()
        if old is None:
            raise KeyRevoked
        return await _record(session, actor, old, note, cool_down, at)


async def _record(
    session: AsyncSession, actor: Actor, old: DeviceKey, note: str | None, cool_down: timedelta, at: datetime
) -> RebindingObjection:
    device = await load_active_device(session, old.student_id)
    if device is None or device.cool_down_until is None or device.cool_down_until <= at:
        raise Conflict(
            reason_zh="冷静期已过或新手机已解绑，请直接联系辅导员",
            reason_en="the cool-down is over or the new phone is not bound any more; ask the counselor",
        )
    existing = select(RebindingObjection).where(RebindingObjection.device_id == device.id)
    found = (await session.scalars(existing)).one_or_none()
    if found is not None:
        return found
    device.cool_down_until = at + cool_down
    objection = RebindingObjection(
        id=new_id(),
        school_id=old.school_id,
        student_id=old.student_id,
        device_id=device.id,
        old_device_id=old.id,
        note=note,
        at=at,
    )
    session.add(objection)
    event = RebindingObjected(
        school_id=old.school_id, path=actor.org_path, student_id=old.student_id, objection_id=objection.id
    )
    await outbox.emit(session, event, at)
    after = {"objection_id": str(objection.id)}
    act = audit.Act("RebindingObjected", "student", str(old.student_id), actor.org_path, after=after)
    audit.record(session, act, at)
    return objection


@dataclass(frozen=True, slots=True)
class ObjectionView:
    """An objection with the student, and the decision once there is one."""

    objection: RebindingObjection
    student_name: str
    class_name: str
    decision: RebindingObjectionDecision | None


async def load_objections(
    session: AsyncSession, actor: Actor, before: UUID | None, limit: int, *, objection_id: UUID | None = None
) -> list[ObjectionView]:
    """At most `limit` objections before an id, newest first; a counselor's own classes only."""
    query = (
        select(RebindingObjection, Student.name, SchoolClass.name, RebindingObjectionDecision)
        .join(Student, Student.id == RebindingObjection.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .outerjoin(
            RebindingObjectionDecision, RebindingObjectionDecision.objection_id == RebindingObjection.id
        )
        .order_by(RebindingObjection.id.desc())
        .limit(limit)
    )
    if actor.role == "counselor":
        query = query.where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    if before is not None:
        query = query.where(RebindingObjection.id < before)
    if objection_id is not None:
        query = query.where(RebindingObjection.id == objection_id)
    return [ObjectionView(*row) for row in await session.execute(query)]


@dataclass(frozen=True, slots=True)
class DecideObjection:
    """The decision after the student was seen in person."""

    objection_id: UUID
    outcome: ObjectionOutcome
    reason: str


async def decide_objection(
    session: AsyncSession, actor: Actor, command: DecideObjection, at: datetime
) -> ObjectionView:
    """Decide an objection, as counselor of the class or registrar. Upheld: the new phone is revoked."""
    views = await load_objections(session, actor, None, 1, objection_id=command.objection_id)
    if not views:
        raise NotFound
    if actor.role not in {"counselor", "registrar"}:
        raise NotPermitted(
            reason_zh="由班级辅导员或学校管理员当面核对本人后处理",
            reason_en="the counselor of the class or the registrar decides, after seeing the student in person",
        )
    view = views[0]
    objection = view.objection
    if view.decision is not None:
        raise Conflict(reason_zh="该异议已处理", reason_en="this objection was already decided")
    if command.outcome == "upheld":
        device = await load_active_device(session, objection.student_id)
        if device is not None and device.id == objection.device_id:
            await revoke_active_key(session, objection.student_id, "objection_upheld", at)
            event = DeviceRevoked(school_id=objection.school_id, student_id=objection.student_id)
            await outbox.emit(session, event, at)
    decision = RebindingObjectionDecision(
        objection_id=objection.id,
        school_id=objection.school_id,
        student_id=objection.student_id,
        outcome=command.outcome,
        reason=command.reason,
        decided_by=actor.account_id,
        at=at,
    )
    session.add(decision)
    await session.flush()
    after = {"objection_id": str(objection.id), "outcome": command.outcome}
    act = audit.Act(
        "RebindingObjectionDecided", "student", str(objection.student_id), actor.org_path, after=after
    )
    audit.record(session, act, at)
    return ObjectionView(objection, view.student_name, view.class_name, decision)
