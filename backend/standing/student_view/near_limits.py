"""Students with a current warning: near a limit of misses or leave, or absent without leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.people.tables import SchoolClass, Student
from backend.standing.access import visible_students
from backend.standing.store.tables import StudentStanding


@dataclass(frozen=True, slots=True)
class WarnedStudent:
    """A student with the warnings of the latest assessment."""

    student_id: UUID
    student_name: str
    class_id: UUID
    class_name: str
    warnings: Sequence[Mapping[str, Any]]


async def load_warned_students(
    session: AsyncSession, actor: Actor, class_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[WarnedStudent]:
    """At most `limit` warned students that the caller sees, by id. Raises `NotPermitted` for superiors of schools."""
    if actor.school_id is None:
        raise NotPermitted(reason_zh="由学校查阅", reason_en="this is for the school")
    warnings = cast(StudentStanding.assessment["warnings"], JSONB)
    page = (
        select(Student.id, Student.name, Student.class_id, SchoolClass.name, warnings)
        .join(Student, Student.id == StudentStanding.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(
            StudentStanding.school_id == actor.school_id,
            func.jsonb_array_length(func.coalesce(warnings, cast([], JSONB))) > 0,
            visible_students(actor, Student.id.expression),
        )
        .order_by(Student.id)
        .limit(limit)
    )
    if class_id is not None:
        page = page.where(Student.class_id == class_id)
    if after is not None:
        page = page.where(Student.id > after)
    return [WarnedStudent(*row) for row in await session.execute(page)]
