"""Staff endpoint with the counselors of one's school."""

from fastapi import APIRouter

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.accounts.colleagues import ColleagueSort, load_colleagues_page
from backend.identity.accounts.schemas import ColleagueOut
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import SearchText

router = APIRouter(prefix="/v1", tags=["账号 · accounts"])


@router.get("/colleagues", responses=problem_responses(401, 403, 422))
async def list_colleagues(
    caller: StaffCaller,
    q: SearchText = None,
    sort: ColleagueSort = "name",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[ColleagueOut]:
    """本校其他在岗辅导员（用于指定代审人） · The other active counselors of one's school, to name a stand-in."""
    async with caller.transaction() as session:
        page = await load_colleagues_page(session, caller.actor, q, PageRequest(limit, cursor, sort, total))
    return page.render_counted(ColleagueOut.model_validate)
