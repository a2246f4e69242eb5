"""Which students' cases staff of a school may touch: a registrar all, a counselor those of the own classes now."""

from uuid import UUID

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.people.queries import classes_of_counselor
from backend.people.tables import Student


def visible_students(actor: Actor, student_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """The condition that limits a counselor to students of the own classes, and a student to the own rows."""
    if actor.role == "student":
        return student_id == actor.student_id
    if actor.role != "counselor":
        return true()
    return student_id.in_(
        select(Student.id).where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    )


async def require_student_access(session: AsyncSession, actor: Actor, student_id: UUID) -> None:
    """Raises `NotPermitted` for superiors, `NotFound` for a student who is not in the care of the staff."""
    if actor.role not in {"registrar", "counselor"}:
        raise NotPermitted(reason_zh="由学校办理", reason_en="this is handled by the school")
    found = select(Student.id).where(Student.id == student_id, visible_students(actor, Student.id.expression))
    if await session.scalar(found) is None:
        raise NotFound
