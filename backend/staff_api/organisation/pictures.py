"""Staff endpoints about pictures of students: pictures that were sent for two students."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.face.schemas import SharedPictureOut, shared_picture_out
from backend.identity.face.shared_picture_reports import load_shared_pictures_page
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1", tags=["照片 · pictures"])

SchoolFilter = Annotated[UUID | None, Query(description="只列某校 · only of this school")]


@router.get("/shared-pictures", responses=problem_responses(401, 403, 422))
async def list_shared_pictures(
    caller: StaffCaller, school_id: SchoolFilter = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[SharedPictureOut]:
    """照片重复（新的在前） · List pictures that were sent for two students, newest first."""
    async with caller.transaction() as session:
        rows = await load_shared_pictures_page(session, caller.actor, school_id, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, shared_picture_out, lambda row: row.finding.id)
