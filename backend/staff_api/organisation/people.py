"""Staff endpoints to read the classes and students on the roll."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.people.queries import StudentSearch, load_class_page, load_student, load_student_page
from backend.people.schemas import (
    ClassOut,
    StudentDetailOut,
    StudentOut,
    class_out,
    student_detail_out,
    student_out,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, build_page, cursor_id

router = APIRouter(prefix="/v1", tags=["名册 · roll"])

SchoolFilter = Annotated[UUID | None, Query(description="只列某校 · only of this school")]
ClassFilter = Annotated[UUID | None, Query(description="只列某班 · only of this class")]


@router.get("/classes", responses=problem_responses(401, 403, 422))
@with_names
async def list_classes(
    caller: StaffCaller, school_id: SchoolFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[ClassOut]:
    """班级 · List classes; a counselor sees their own."""
    async with caller.transaction() as session:
        rows = await load_class_page(session, caller.actor, school_id, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, class_out, lambda row: row.school_class.id)


@router.get("/students", responses=problem_responses(401, 403, 422))
@with_names
async def list_students(
    caller: StaffCaller,
    school_id: SchoolFilter = None,
    class_id: ClassFilter = None,
    q: SearchText = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[StudentOut]:
    """学生 · Find students by part of a name, student number or whole ID number; a counselor's own classes only."""
    search = StudentSearch(school_id=school_id, class_id=class_id, text=q)
    async with caller.transaction() as session:
        rows = await load_student_page(
            session, caller.actor, caller.app_context.keys, search, cursor_id(cursor), limit + 1
        )
    return build_page(rows, limit, student_out, lambda row: row.id)


@router.get("/students/{student_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_student(caller: StaffCaller, student_id: UUID) -> StudentDetailOut:
    """一名学生 · Get one student."""
    async with caller.transaction() as session:
        row = await load_student(session, caller.actor, caller.app_context.keys, student_id)
    return student_detail_out(row)
