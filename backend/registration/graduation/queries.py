"""The list of graduations."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.queries import is_of_schools, load_school_scope
from backend.people.tables import SchoolClass, Student
from backend.registration.graduation.tables import Graduation
from backend.registration.permissions import require_registration_reader


@dataclass(frozen=True, slots=True)
class GraduationSearch:
    """Filters of the list; None does not filter. `student` is a condition on the student."""

    is_late: bool | None = None
    unit_id: UUID | None = None
    student: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class GraduationRow:
    """A graduation with the student."""

    graduation: Graduation
    student_name: str
    class_name: str


GraduationSort = Literal["name", "-name", "student", "-student"]
GRADUATION_SORTS = ListSorts(
    Graduation.student_id,
    {"name": by_name(Student.name), "student": Graduation.student_id},
    default="-student",
)


async def load_graduation_page(
    session: AsyncSession, actor: Actor, search: GraduationSearch, request: PageRequest
) -> ListPage[GraduationRow]:
    """A page of the graduations of a unit. Raises `NotPermitted`, and `NotFound` for a unit of others."""
    require_registration_reader(actor)
    schools = await load_school_scope(session, actor, search.unit_id)
    query = (
        select(Graduation, Student.name, SchoolClass.name)
        .join(Student, Student.id == Graduation.student_id)
        .join(SchoolClass, SchoolClass.id == Student.class_id)
        .where(is_of_schools(Graduation.school_id, schools))
    )
    if search.is_late is not None:
        query = query.where(Graduation.is_late.is_(search.is_late))
    if search.student is not None:
        query = query.where(search.student)
    page = await load_page(session, query, GRADUATION_SORTS, request)
    return page.with_rows([GraduationRow(*row) for row in page.rows])
