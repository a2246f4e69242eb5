"""Staff endpoints for activation: classes of counselors, readiness, students' steps and phones, corrections."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.core.pagination import Cursor, Limit, Page, decode_time_cursor, encode_cursor
from backend.core.web.problems import problem_responses
from backend.identity.accounts.activation import open_activation_steps
from backend.identity.accounts.activation_schemas import (
    ReadinessOut,
    StudentActivationOut,
    readiness_out,
    student_activation_out,
)
from backend.identity.accounts.readiness import load_readiness_page
from backend.identity.devices.schemas import RevocationIn
from backend.identity.devices.service import RevokeDevice, load_active_device, revoke_device
from backend.identity.record_schemas import CorrectionDecisionIn, CorrectionOut, correction_out
from backend.identity.student_record import DecideCorrection, decide_correction, load_corrections
from backend.people.counselors import AssignClasses, assign_classes
from backend.people.queries import load_student
from backend.people.schemas import ClassesIn
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1", tags=["激活 · activation"])

StatusFilter = Annotated[
    Literal["open", "accepted", "declined"], Query(description="申请状态 · status of the requests")
]


@router.post(
    "/counselors/{counselor_id}/classes",
    status_code=204,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def assign_classes_to_counselor(counselor_id: UUID, body: ClassesIn, caller: StaffCaller) -> Response:
    """分配班级 · Assign classes to a counselor, who replaces the previous counselor of each class."""
    command = AssignClasses(counselor_id, frozenset(body.class_ids))
    async with caller.transaction() as session:
        await assign_classes(session, caller.actor, command, caller.at)
    return Response(status_code=204)


@router.get("/readiness", responses=problem_responses(401, 422))
async def list_readiness(caller: StaffCaller, cursor: Cursor = None, limit: Limit = 50) -> Page[ReadinessOut]:
    """准备情况 · List which schools are ready for roll calls; a school sees itself."""
    async with caller.transaction() as session:
        rows = await load_readiness_page(session, caller.actor, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, readiness_out, lambda row: row.school_id)


@router.get("/students/{student_id}/activation", responses=problem_responses(401, 403, 404, 422))
async def get_student_activation(student_id: UUID, caller: StaffCaller) -> StudentActivationOut:
    """学生激活进度 · Get a student's activation steps and the bound phone."""
    async with caller.transaction() as session:
        row = await load_student(session, caller.actor, caller.app_context.keys, student_id)
        open_steps = await open_activation_steps(session, student_id)
        device = await load_active_device(session, student_id)
    return student_activation_out(row, open_steps, device)


@router.post(
    "/students/{student_id}/device/revocation",
    status_code=204,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def revoke_student_device(student_id: UUID, body: RevocationIn, caller: StaffCaller) -> Response:
    """解绑学生手机 · Revoke a student's phone; it is refused at its next request."""
    async with caller.transaction() as session:
        await revoke_device(session, caller.actor, RevokeDevice(student_id, body.reason), caller.at)
    return Response(status_code=204)


@router.get("/record-corrections", responses=problem_responses(401, 403, 422))
async def list_record_corrections(
    caller: StaffCaller, status: StatusFilter = "open", cursor: Cursor = None, limit: Limit = 50
) -> Page[CorrectionOut]:
    """学籍信息更正申请 · List the corrections that students requested, oldest first; a counselor's own classes only."""
    async with caller.transaction() as session:
        rows = await load_corrections(session, caller.actor, status, decode_time_cursor(cursor), limit + 1)
    page = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        last = page[-1][0]
        next_cursor = encode_cursor(last.at.isoformat(), str(last.id))
    keys = caller.app_context.keys
    return Page(items=[correction_out(*row, keys) for row in page], next_cursor=next_cursor)


@router.post("/record-corrections/{check_id}/decision", responses=problem_responses(401, 403, 404, 409, 422))
async def decide_record_correction(
    check_id: UUID, body: CorrectionDecisionIn, caller: StaffCaller
) -> CorrectionOut:
    """处理更正申请 · Accept or decline a correction; contact data change at once, the legal record only by the roster."""
    command, keys = DecideCorrection(check_id, body.decision, body.note), caller.app_context.keys
    async with caller.transaction() as session:
        check = await decide_correction(session, caller.actor, keys, command, caller.at)
        row = await load_student(session, caller.actor, keys, check.student_id)
    return correction_out(check, row.name, row.class_name, keys)
