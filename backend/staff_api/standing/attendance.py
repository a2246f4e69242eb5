"""Attendance records of counselors and registrars (HN334-3.5c, reading 5)."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page, decode_time_cursor, encode_cursor
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.standing import attendance
from backend.standing.attendance import RecordAttendance, load_attendance_page
from backend.standing.attendance_schemas import AttendanceIn, AttendanceOut

router = APIRouter(prefix="/v1", tags=["考勤 · attendance"])


@router.post(
    "/students/{student_id}/attendance", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
@with_names
async def record_attendance(caller: StaffCaller, student_id: UUID, body: AttendanceIn) -> AttendanceOut:
    """登记缺勤或在校 · Record that the student was absent or present."""
    command = RecordAttendance(student_id, body.at, body.present, body.note)
    async with caller.transaction() as session:
        row = await attendance.record_attendance(session, caller.actor, command, caller.at)
    return AttendanceOut.model_validate(row)


@router.get("/students/{student_id}/attendance", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_attendance(
    caller: StaffCaller, student_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Page[AttendanceOut]:
    """学生考勤记录（新的在前） · A student's attendance records, latest first."""
    async with caller.transaction() as session:
        rows = await load_attendance_page(
            session, caller.actor, student_id, decode_time_cursor(cursor), limit + 1
        )
    shown = rows[:limit]
    next_cursor = encode_cursor(shown[-1].at.isoformat(), str(shown[-1].id)) if len(rows) > limit else None
    return Page(items=[AttendanceOut.model_validate(row) for row in shown], next_cursor=next_cursor)
