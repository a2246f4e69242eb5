"""Staff endpoints of superiors about two students whose faces are rarely similar."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Response

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.face.duplicates.candidates import (
    AnswerCandidate,
    CandidateSort,
    answer_candidate,
    load_candidates_page,
    read_candidate_portrait,
)
from backend.identity.face.duplicates.schemas import (
    DuplicateAnsweredOut,
    DuplicateAnswerIn,
    DuplicateCandidateOut,
    candidate_out,
)
from backend.identity.pictures.responses import picture_body, picture_response
from backend.identity.policy import province_policy
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1/duplicate-candidates", tags=["照片 · pictures"])


@router.get("", responses=problem_responses(401, 403, 409, 422))
async def list_duplicate_candidates(
    caller: StaffCaller,
    sort: CandidateSort = "-found_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[DuplicateCandidateOut]:
    """待核对的相似人脸（新的在前） · List pairs of similar faces that wait for an answer, newest first."""
    policy = province_policy(caller.app_context, caller.at)
    async with caller.transaction() as session:
        page = await load_candidates_page(
            session, caller.actor, policy, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(candidate_out)


@router.get(
    "/{candidate_id}/portraits/{whose}",
    response_class=Response,
    responses=problem_responses(401, 403, 404, 409, 410, 422) | picture_body(),
)
async def get_candidate_portrait(
    caller: StaffCaller, candidate_id: UUID, whose: Literal["student", "other"]
) -> Response:
    """查看其中一名学生的证件照（留痕） · Get the ID portrait of one of the students; the look is recorded."""
    policy = province_policy(caller.app_context, caller.at)
    return picture_response(
        await read_candidate_portrait(
            caller.app_context, caller.actor, policy, candidate_id, whose, caller.at
        )
    )


@router.post("/{candidate_id}/answer", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
async def answer_duplicate_candidate(
    caller: StaffCaller, candidate_id: UUID, body: DuplicateAnswerIn
) -> DuplicateAnsweredOut:
    """答复是否同一人（一次） · Answer whether the two students are one person; once."""
    policy = province_policy(caller.app_context, caller.at)
    command = AnswerCandidate(candidate_id, body.answer, body.note)
    async with caller.transaction() as session:
        row = await answer_candidate(session, caller.actor, policy, command, caller.at)
    return DuplicateAnsweredOut(id=row.candidate_id, answer=row.answer, at=row.at)
