"""Assigning classes to counselors, by the registrar (HN334-3.2); earlier assignments are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.bulk import RowResult, act_on_each
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.people.events import ClassesAssigned
from backend.people.tables import ClassCounselor, Counselor, SchoolClass


@dataclass(frozen=True, slots=True)
class AssignClasses:
    """Classes to assign to a counselor, who replaces their current counselors."""

    counselor_id: UUID
    class_ids: frozenset[UUID]


async def assign_each_class(
    session: AsyncSession, actor: Actor, counselor_by_class: Mapping[UUID, UUID], at: datetime
) -> list[RowResult]:
    """Assign each class to its counselor, with one result for each class. Raises `NotPermitted` for all of them."""
    _require_registrar(actor)

    async def assign(class_id: UUID) -> bool:
        command = AssignClasses(counselor_by_class[class_id], frozenset({class_id}))
        return bool(await assign_classes(session, actor, command, at))

    results = await act_on_each(session, sorted(counselor_by_class), assign)
    return [results[class_id] for class_id in counselor_by_class]


async def assign_classes(
    session: AsyncSession, actor: Actor, command: AssignClasses, at: datetime
) -> set[UUID]:
    """Assign classes of the actor's school to one of its counselors; returns those that the counselor did not have.

    Raises `NotPermitted`, `NotFound` and `Conflict`.
    """
    _require_registrar(actor)
    if await session.get(Counselor, command.counselor_id) is None:
        raise NotFound
    # Locking the classes in a fixed order serialises parallel assignments.
    owned = (
        select(SchoolClass.id)
        .where(SchoolClass.id.in_(command.class_ids), SchoolClass.school_id == actor.school_id)
        .order_by(SchoolClass.id)
        .with_for_update()
    )
    owned_ids = set(await session.scalars(owned))
    if owned_ids != command.class_ids:
        raise NotFound
    current = select(ClassCounselor.class_id).where(
        ClassCounselor.class_id.in_(owned_ids),
        ClassCounselor.until.is_(None),
        ClassCounselor.counselor_id == command.counselor_id,
    )
    changing_ids = owned_ids - set(await session.scalars(current))
    await _reassign_classes(session, actor, command.counselor_id, changing_ids, at)
    return changing_ids


def _require_registrar(actor: Actor) -> None:
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="仅学校管理员可以分配班级", reason_en="only the registrar can assign classes"
        )


async def _reassign_classes(
    session: AsyncSession, actor: Actor, counselor_id: UUID, class_ids: set[UUID], at: datetime
) -> None:
    assert actor.school_id is not None
    await session.execute(
        update(ClassCounselor)
        .where(ClassCounselor.class_id.in_(class_ids), ClassCounselor.until.is_(None))
        .values(until=at)
    )
    for class_id in sorted(class_ids):
        session.add(
            ClassCounselor(
                id=new_id(),
                school_id=actor.school_id,
                class_id=class_id,
                counselor_id=counselor_id,
                since=at,
                until=None,
            )
        )
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(
            reason_zh="班级刚被分配给他人，请刷新后重试",
            reason_en="a class was just assigned to another counselor; reload and try again",
        ) from error
    if class_ids:
        ids = sorted(str(class_id) for class_id in class_ids)
        act = audit.Act(
            "ClassesAssigned", "counselor", str(counselor_id), actor.org_path, after={"classes": ids}
        )
        audit.record(session, act, at)
        event = ClassesAssigned(
            school_id=actor.school_id, counselor_id=counselor_id, class_ids=tuple(sorted(class_ids))
        )
        await outbox.emit(session, event, at)
