"""Change requests: changes of standing without a prompt, approved level by level (HN334-4.1c, SD13-4)."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.people.attachments import load_attachments
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.standing.change_requests.policy import RequestState
from backend.standing.change_requests.queries import (
    CHANGE_REQUEST,
    ChangeRequestSearch,
    ChangeRequestView,
    RequestSort,
    load_change_kinds,
    load_change_request,
    load_open_prompt_ids,
    load_requests_page,
)
from backend.standing.change_requests.schemas import (
    ChangeKindOut,
    ChangeRequestDetailOut,
    ChangeRequestIn,
    ChangeRequestOut,
    ChangeRequestWithdrawalIn,
    OpinionIn,
    RequestFilesIn,
)
from backend.standing.change_requests.service import (
    GiveOpinion,
    RequestChange,
    give_opinion,
    request_change,
    withdraw_request,
)
from backend.standing.change_requests.supplements import add_request_files

router = APIRouter(prefix="/v1", tags=["学籍异动 · standing changes"])


@router.get("/change-kinds", responses=problem_responses(401, 422))
async def list_change_kinds(caller: StaffCaller) -> list[ChangeKindOut]:
    """异动类别（按当前政策） · The kinds of change that the policy of today knows at the caller's place."""
    async with caller.transaction() as session:
        kinds = await load_change_kinds(session, caller.actor, caller.at)
    return [ChangeKindOut.of(each) for each in kinds]


@router.get("/change-requests", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_change_requests(
    caller: StaffCaller,
    state: RequestState | None = None,
    waiting_for: Annotated[
        Literal["me"] | None, Query(description="只列待我审核的 · only those that wait for the caller's unit")
    ] = None,
    school_id: UUID | None = None,
    student_id: UUID | None = None,
    unit_id: UnitFilter = None,
    sort: RequestSort = "-filed_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[ChangeRequestOut]:
    """学籍异动申请（新的在前） · Requests of the caller's schools, newest first."""
    search = ChangeRequestSearch(state, waiting_for == "me", school_id, student_id, unit_id)
    async with caller.transaction() as session:
        page = await load_requests_page(
            session, caller.actor, search, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(ChangeRequestOut.of)


@router.get("/change-requests/{request_id}", responses=problem_responses(401, 403, 404, 422))
@with_names
async def get_change_request(caller: StaffCaller, request_id: UUID) -> ChangeRequestDetailOut:
    """查看异动申请及各级意见 · One request with its files and the opinions given."""
    async with caller.transaction() as session:
        view = await load_change_request(session, caller.actor, request_id)
        return await _load_detail(session, view)


async def _load_detail(session: AsyncSession, view: ChangeRequestView) -> ChangeRequestDetailOut:
    request = view.request
    files = await load_attachments(session, CHANGE_REQUEST, [request.id])
    prompts = await load_open_prompt_ids(session, request.student_id)
    return ChangeRequestDetailOut.of_detail(view, files[request.id], prompts)


@router.post(
    "/change-requests/{request_id}/attachments",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def add_change_request_files(
    caller: StaffCaller, request_id: UUID, body: RequestFilesIn
) -> ChangeRequestDetailOut:
    """补充材料（申报学校，审核结束前） · Add uploaded files to an open request of the own school."""
    async with caller.transaction() as session:
        view = await add_request_files(session, caller.actor, request_id, body.attachment_ids, caller.at)
        return await _load_detail(session, view)


@router.post("/change-requests", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def submit_change_request(caller: StaffCaller, body: ChangeRequestIn) -> ChangeRequestOut:
    """申报学籍异动 · File a change for a student of the own school; this fixes the chain of approval."""
    command = RequestChange(body.student_id, body.change_kind, body.reasons, tuple(body.attachment_ids))
    async with caller.transaction() as session:
        view = await request_change(session, caller.actor, command, caller.at)
    return ChangeRequestOut.of(view)


@router.post(
    "/change-requests/{request_id}/opinions",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def give_change_request_opinion(
    caller: StaffCaller, request_id: UUID, body: OpinionIn
) -> ChangeRequestOut:
    """审核学籍异动（不同意须写明意见） · Give the opinion of the current level's unit; the last agreement takes effect."""
    command = GiveOpinion(request_id, body.outcome, body.opinion)
    async with caller.transaction() as session:
        view = await give_opinion(session, caller.actor, command, caller.at)
    return ChangeRequestOut.of(view)


@router.post(
    "/change-requests/{request_id}/withdrawal",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def withdraw_change_request(
    caller: StaffCaller, request_id: UUID, body: ChangeRequestWithdrawalIn
) -> ChangeRequestOut:
    """撤回异动申请 · Withdraw an open request of the own school."""
    async with caller.transaction() as session:
        view = await withdraw_request(session, caller.actor, request_id, body.reason, caller.at)
    return ChangeRequestOut.of(view)
