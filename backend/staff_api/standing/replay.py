"""Differences between the stored standing and the facts, which a person must look at."""

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id
from backend.standing.store.replay_queries import list_replay_differences
from backend.standing.store.replay_schemas import ReplayDifferenceOut

router = APIRouter(prefix="/v1", tags=["学籍 · standing"])


@router.get("/replay-differences", responses=problem_responses(401, 403, 422))
@with_names
async def list_differences(
    caller: StaffCaller, limit: Limit = 50, cursor: Cursor = None
) -> Page[ReplayDifferenceOut]:
    """推算差异（新的在前） · Students whose recorded facts give another result than the stored one, newest first."""
    async with caller.transaction() as session:
        rows = await list_replay_differences(session, caller.actor, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, ReplayDifferenceOut.of, lambda row: row.id)
