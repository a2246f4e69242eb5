"""Staff endpoint with where the accepted check-ins of a site fell, in cells of 50 m."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import ShortText
from backend.roll_call.cells.queries import load_site_cells
from backend.roll_call.cells.schemas import CheckInCellsOut
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["办学地址 · sites"])

TermFilter = Annotated[
    ShortText | None, Query(description="学期；默认为最近有统计的学期 · default: the newest term with counts")
]


@router.get("/sites/{site_id}/check-in-cells", responses=problem_responses(401, 403, 404, 422))
async def get_check_in_cells(
    caller: StaffCaller, site_id: UUID, term_code: TermFilter = None
) -> CheckInCellsOut:
    """通过的签到落在哪里（50 米格，满十人显示） · Where accepted check-ins fell, in cells with enough students."""
    async with caller.transaction() as session:
        cells = await load_site_cells(session, caller.actor, site_id, term_code, caller.at)
    return CheckInCellsOut.of(cells)
