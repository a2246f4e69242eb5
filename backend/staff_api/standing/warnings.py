"""Students near a limit, for their counselor and registrar."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id
from backend.standing.student_view.near_limits import load_warned_students
from backend.standing.student_view.schemas import WarnedStudentOut

router = APIRouter(prefix="/v1", tags=["学籍异动 · standing changes"])


@router.get("/student-warnings", responses=problem_responses(401, 403, 422))
async def list_student_warnings(
    caller: StaffCaller, class_id: UUID | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[WarnedStudentOut]:
    """接近上限的学生（未核验次数、请假天数、未请假缺席） · Students with a current warning: near a limit, or absent."""
    async with caller.transaction() as session:
        rows = await load_warned_students(session, caller.actor, class_id, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, WarnedStudentOut.of, lambda row: row.student_id)
