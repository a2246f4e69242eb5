"""Staff endpoints of face thresholds: the versions that were learned, the province's approval, a school's report."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.face.calibration.report import load_school_report, require_report_reader
from backend.identity.face.calibration.report_schemas import FaceReportOut
from backend.identity.face.calibration.schemas import FaceThresholdOut, ThresholdApprovalIn
from backend.identity.face.calibration.versions import approve_version, load_versions_page
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1", tags=["人脸阈值 · face thresholds"])


@router.get("/face-thresholds", responses=problem_responses(401, 403, 422))
@with_names
async def list_face_thresholds(
    caller: StaffCaller, limit: Limit = 20, cursor: Cursor = None
) -> Page[FaceThresholdOut]:
    """人脸阈值版本（新的在前） · List the versions of learned thresholds with the figures of each group."""
    async with caller.transaction() as session:
        rows = await load_versions_page(session, caller.actor, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, FaceThresholdOut.of, lambda row: row.version.id)


@router.post(
    "/face-thresholds/{threshold_id}/approval",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def approve_face_threshold(
    caller: StaffCaller, threshold_id: UUID, body: ThresholdApprovalIn
) -> FaceThresholdOut:
    """批准阈值版本生效（省级管理员） · Put a proposed version in force, as a province administrator."""
    async with caller.transaction() as session:
        row = await approve_version(session, caller.actor, threshold_id, body.reasons, caller.at)
    return FaceThresholdOut.of(row)


@router.get("/schools/{school_id}/face-report", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_face_report(caller: StaffCaller, school_id: UUID) -> FaceReportOut:
    """学校人脸报告（学校管理员和上级） · What the school may expect of the face check, for its registrar and superiors."""
    async with caller.transaction() as session:
        await require_report_reader(session, caller.actor, school_id)
    return FaceReportOut.of(await load_school_report(caller.app_context, school_id, caller.at))
