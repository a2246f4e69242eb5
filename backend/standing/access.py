"""Which students the caller may see: a registrar the whole school, a counselor the students of their classes."""

from uuid import UUID

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.people.queries import classes_of_counselor
from backend.people.tables import Student


def visible_students(actor: Actor, student_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """A condition that limits counselors to the current students of their classes, and students to themselves."""
    if actor.role == "student":
        return student_id == actor.student_id
    if actor.role != "counselor":
        return true()
    return student_id.in_(
        select(Student.id).where(Student.class_id.in_(classes_of_counselor(actor.counselor_id)))
    )


async def require_student_access(session: AsyncSession, actor: Actor, student_id: UUID) -> None:
    """Raises `NotPermitted` for superiors, `NotFound` for a student whom the staff member may not see."""
    if actor.role not in {"registrar", "counselor"}:
        raise NotPermitted(reason_zh="由学校办理", reason_en="this is handled by the school")
    student = select(Student.id).where(
        Student.id == student_id, visible_students(actor, Student.id.expression)
    )
    if await session.scalar(student) is None:
        raise NotFound
