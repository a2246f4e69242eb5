"""Which students' cases staff of a school may touch: a registrar all, a counselor those of the own classes now."""

from uuid import UUID

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.errors import NotFound, NotPermitted
from backend.people.queries import classes_of_counselor
from backend.people.tables import Student


def in_own_classes(acting: Acting, student_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """The condition that limits a counselor to students of the own classes, and a student to the own rows."""
    if acting.kind == "student":
        return student_id == acting.student_id
    if acting.kind != "counselor":
        return true()
    return student_id.in_(
        select(Student.id).where(Student.class_id.in_(classes_of_counselor(acting.counselor_id)))
    )


async def student_in_own_care(session: AsyncSession, acting: Acting, student_id: UUID) -> None:
    """Raises `NotPermitted` for superiors, `NotFound` for a student who is not in the care of the staff."""
    if acting.kind not in {"registrar", "counselor"}:
        raise NotPermitted(reason_zh="由学校办理", reason_en="this is handled by the school")
    found = select(Student.id).where(Student.id == student_id, in_own_classes(acting, Student.id.expression))
    if await session.scalar(found) is None:
        raise NotFound
