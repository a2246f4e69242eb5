"""Students with a current warning: near a limit of misses or leave, or absent without leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
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


@dataclass(frozen=True, slots=True)
class WarningSearch:
    """Filters of the list; None does not filter."""

    class_id: UUID | None = None
    matching: ColumnElement[bool] | None = None
    """A condition on `student` rows."""


WarningSort = Literal["name", "-name"]
WARNING_SORTS = ListSorts(Student.id, {"name": by_name(Student.name)}, default="name")


async def load_warned_students(
    session: AsyncSession, actor: Actor, search: WarningSearch, request: PageRequest
) -> ListPage[WarnedStudent]:
    """A page of the warned students that the caller sees. Raises `NotPermitted` for superiors of schools."""
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
    )
    if search.class_id is not None:
        page = page.where(Student.class_id == search.class_id)
    if search.matching is not None:
        page = page.where(search.matching)
    found = await load_page(session, page, WARNING_SORTS, request)
    return found.with_rows([WarnedStudent(*row) for row in found.rows])
