"""Staff endpoints to read the classes and students on the roll."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit, decode_time_cursor, encode_cursor
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.people.queries import (
    ClassSearch,
    ClassSort,
    StudentSearch,
    StudentSort,
    load_class,
    load_class_page,
    load_student,
    load_student_page,
)
from backend.people.schemas import (
    ClassOut,
    StudentDetailOut,
    StudentOut,
    class_out,
    student_detail_out,
    student_out,
)
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText, UnitFilter
from backend.timeline.kinds import TimelineKind
from backend.timeline.schemas import TimelineOut
from backend.timeline.service import TimelineSearch, load_timeline

router = APIRouter(prefix="/v1", tags=["名册 · roll"])

SchoolFilter = Annotated[UUID | None, Query(description="只列某校 · only of this school")]
CounselorFilter = Annotated[UUID | None, Query(description="只列某辅导员的 · only of this counselor")]
UnassignedFilter = Annotated[
    bool | None, Query(description="只列没有（或有）辅导员的 · only without a counselor, or only with one")
]
ClassFilter = Annotated[UUID | None, Query(description="只列某班 · only of this class")]


@router.get("/classes", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_classes(
    caller: StaffCaller,
    school_id: SchoolFilter = None,
    unit_id: UnitFilter = None,
    q: SearchText = None,
    counselor_id: CounselorFilter = None,
    unassigned: UnassignedFilter = None,
    sort: ClassSort = "created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[ClassOut]:
    """班级 · List classes, found by part of a name; a counselor sees their own."""
    search = ClassSearch(school_id, unit_id, q, counselor_id, unassigned)
    async with caller.transaction() as session:
        page = await load_class_page(session, caller.actor, search, PageRequest(limit, cursor, sort, total))
    return page.render_counted(class_out)


@router.get("/classes/{class_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_class(caller: StaffCaller, class_id: UUID) -> ClassOut:
    """一个班级 · Get one class."""
    async with caller.transaction() as session:
        row = await load_class(session, caller.actor, class_id)
    return class_out(row)


@router.get("/students", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_students(
    caller: StaffCaller,
    school_id: SchoolFilter = None,
    class_id: ClassFilter = None,
    unit_id: UnitFilter = None,
    q: SearchText = None,
    sort: StudentSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[StudentOut]:
    """学生 · Find students by part of a name, student number or whole ID number; a counselor's own classes only."""
    search = StudentSearch(school_id=school_id, class_id=class_id, text=q, unit_id=unit_id)
    async with caller.transaction() as session:
        page = await load_student_page(
            session, caller.actor, caller.app_context.keys, search, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(student_out)


@router.get("/students/{student_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_student(caller: StaffCaller, student_id: UUID) -> StudentDetailOut:
    """一名学生 · Get one student."""
    async with caller.transaction() as session:
        row = await load_student(session, caller.actor, caller.app_context.keys, student_id)
    return student_detail_out(row)


@router.get("/students/{student_id}/timeline", responses=problem_responses(401, 403, 404, 422))
async def get_student_timeline(
    caller: StaffCaller,
    student_id: UUID,
    kind: Annotated[TimelineKind | None, Query(description="只列某类记录 · only of this kind")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> TimelineOut:
    """一名学生的全部记录（新的在前） · Everything on file about a student that the caller may read, newest first."""
    search = TimelineSearch(kind, decode_time_cursor(cursor), limit)
    async with caller.transaction() as session:
        page = await load_timeline(
            session, caller.actor, student_id, search, caller.app_context.keys, caller.at
        )
    following = page.following
    return TimelineOut(
        items=list(page.records),
        next_cursor=encode_cursor(following[0].isoformat(), str(following[1])) if following else None,
        kinds=list(page.kinds),
    )
