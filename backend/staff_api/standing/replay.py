"""Differences between the stored standing and the facts, which a person must look at."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.standing.store.replay_queries import (
    DifferenceSearch,
    DifferenceSort,
    DifferenceState,
    ReviewDifference,
    load_differences_page,
    review_difference,
)
from backend.standing.store.replay_schemas import DifferenceReviewIn, ReplayDifferenceOut

router = APIRouter(prefix="/v1", tags=["学籍 · standing"])

StateFilter = Annotated[DifferenceState | None, Query(description="只列某状态 · only in this state")]


@router.get("/replay-differences", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_differences(
    caller: StaffCaller,
    state: StateFilter = None,
    unit_id: UnitFilter = None,
    sort: DifferenceSort = "-found_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[ReplayDifferenceOut]:
    """推算差异（新的在前） · Students whose recorded facts give another result than the stored one, newest first."""
    search = DifferenceSearch(state, unit_id)
    request = PageRequest(limit, cursor, sort, total)
    async with caller.transaction() as session:
        page = await load_differences_page(session, caller.actor, search, request)
    return page.render_counted(ReplayDifferenceOut.of)


@router.post(
    "/replay-differences/{difference_id}/review",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def review_replay_difference(
    caller: StaffCaller, difference_id: UUID, body: DifferenceReviewIn
) -> ReplayDifferenceOut:
    """查看推算差异并写明情况（一次，不改变其他记录） · Record, once, what you found; nothing else changes."""
    command = ReviewDifference(difference_id, body.note)
    async with caller.transaction() as session:
        view = await review_difference(session, caller.actor, command, caller.at)
    return ReplayDifferenceOut.of(view)
