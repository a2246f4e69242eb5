"""What counselors and registrars write down: a student was absent, or was seen (HN334-3.5c, reading 5)."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backend.core.pagination import Cursor, Limit, Page, encode_cursor, instant_position
from backend.core.web.problems import documented
from backend.core.web.schema_types import Moment, Paragraph, Schema
from backend.staff_api.caller import StaffCaller
from backend.standing.attendance import RecordAttendance, attendance_page, record_attendance

router = APIRouter(prefix="/v1", tags=["考勤 · attendance"])


class AttendanceIn(Schema):
    """Absent or seen at an instant of the last days; a mistaken absence is countered by presence at that instant."""

    at: Moment = Field(examples=["2026-10-12T08:00:00+08:00"])
    present: bool = Field(description="在校 true，缺勤 false · seen or absent", examples=[False])
    note: Paragraph | None = Field(default=None, examples=["第一节课未到，电话未接"])


class AttendanceOut(BaseModel):
    """One record."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    student_id: UUID
    at: datetime
    present: bool
    note: str | None = Field(examples=["第一节课未到，电话未接"])
    recorded_at: datetime


@router.post(
    "/students/{student_id}/attendance", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_attendance(caller: StaffCaller, student_id: UUID, body: AttendanceIn) -> AttendanceOut:
    """登记缺勤或在校 · Record that the student was absent or was seen."""
    command = RecordAttendance(student_id, body.at, body.present, body.note)
    async with caller.transaction() as session:
        row = await record_attendance(session, caller.actor, command, caller.at)
    return AttendanceOut.model_validate(row)


@router.get("/students/{student_id}/attendance", responses=documented(401, 403, 404, 422))
async def list_attendance(
    caller: StaffCaller, student_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Page[AttendanceOut]:
    """学生考勤记录（新的在前） · A student's records, latest instant first."""
    async with caller.transaction() as session:
        rows = await attendance_page(session, caller.actor, student_id, instant_position(cursor), limit + 1)
    shown = rows[:limit]
    following = encode_cursor(shown[-1].at.isoformat(), str(shown[-1].id)) if len(rows) > limit else None
    return Page(items=[AttendanceOut.model_validate(row) for row in shown], next_cursor=following)
