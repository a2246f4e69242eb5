"""Staff endpoints of graduation (MOE19-2.3c, HRSS28-2.4)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.bulk_schemas import BulkOut
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import Day
from backend.identity.names import with_names
from backend.registration.graduation.queries import (
    GraduationSearch,
    GraduationSort,
    load_graduation_page,
)
from backend.registration.graduation.schemas import ClassGraduationOut, GraduationOut, GraduationsIn
from backend.registration.graduation.service import graduate_students, load_class_graduation
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.staff_api.student_search import StudentSearchText, student_condition

router = APIRouter(prefix="/v1", tags=["毕业 · graduation"])


@router.get("/classes/{class_id}/graduation", responses=problem_responses(401, 403, 404, 409, 422))
async def get_class_graduation(
    caller: StaffCaller,
    class_id: UUID,
    leaving_on: Annotated[Day, Query(description="离校日期 · day of leaving", examples=["2026-06-30"])],
) -> ClassGraduationOut:
    """毕业办理时段及各生尚缺事项 · When graduation is processed, and what each student of the class lacks."""
    async with caller.transaction() as session:
        found = await load_class_graduation(session, caller.actor, class_id, leaving_on, caller.at)
    return ClassGraduationOut.of(found)


@router.post("/classes/{class_id}/graduations", responses=problem_responses(401, 403, 404, 409, 422))
async def create_graduations(caller: StaffCaller, class_id: UUID, body: GraduationsIn) -> BulkOut:
    """办理毕业、结业（逐人给出结果） · Graduate students of a class, with one result a student."""
    async with caller.transaction() as session:
        results = await graduate_students(
            session, caller.actor, class_id, body.leaving_on, body.as_commands(), caller.at
        )
    return BulkOut.of(results)


@router.get("/graduations", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_graduations(
    caller: StaffCaller,
    late: Annotated[
        bool | None, Query(description="是否离校后才办理 · processed after leaving or not")
    ] = None,
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    sort: GraduationSort = "-student",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[GraduationOut]:
    """毕业、结业名册 · Graduations of the own unit."""
    search = GraduationSearch(late, unit_id, student_condition(caller, q))
    async with caller.transaction() as session:
        page = await load_graduation_page(
            session, caller.actor, search, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(GraduationOut.of)
