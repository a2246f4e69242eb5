"""Students near a limit, for their counselor and registrar."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.staff_api.caller import StaffCaller
from backend.staff_api.student_search import StudentSearchText, student_condition
from backend.standing.student_view.near_limits import WarningSearch, WarningSort, load_warned_students
from backend.standing.student_view.schemas import WarnedStudentOut

router = APIRouter(prefix="/v1", tags=["学籍异动 · standing changes"])


@router.get("/student-warnings", responses=problem_responses(401, 403, 422))
async def list_student_warnings(
    caller: StaffCaller,
    class_id: UUID | None = None,
    q: StudentSearchText = None,
    sort: WarningSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[WarnedStudentOut]:
    """接近上限的学生（未核验次数、请假天数、未请假缺席） · Students with a current warning: near a limit, or absent."""
    async with caller.transaction() as session:
        page = await load_warned_students(
            session,
            caller.actor,
            WarningSearch(class_id, student_condition(caller, q)),
            PageRequest(limit, cursor, sort, total),
        )
    return page.render_counted(WarnedStudentOut.of)
