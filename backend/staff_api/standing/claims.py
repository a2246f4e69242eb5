"""Reason claims: the school files them for a student, the launching side decides them (readings 6 and 10)."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.staff_api.student_search import StudentSearchText, student_condition
from backend.standing.claims.queries import (
    ClaimSearch,
    ClaimSort,
    ClaimState,
    load_claim,
    load_claims_page,
    load_justified_reasons,
)
from backend.standing.claims.schemas import ClaimDecisionIn, ClaimForIn, ClaimOut, JustifiedReasonOut
from backend.standing.claims.service import DecideClaim, FileClaim, decide_claim, file_claim

router = APIRouter(prefix="/v1", tags=["正当理由 · reason claims"])


@router.get("/justified-reasons", responses=problem_responses(401))
async def list_justified_reasons(caller: StaffCaller) -> list[JustifiedReasonOut]:
    """正当理由目录 · The catalogue of justified reasons in force today."""
    return [
        JustifiedReasonOut.model_validate(reason)
        for reason in load_justified_reasons(caller.actor, caller.at)
    ]


@router.post(
    "/roll-calls/{roll_call_id}/reason-claims",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def file_reason_claim(caller: StaffCaller, roll_call_id: UUID, body: ClaimForIn) -> ClaimOut:
    """代学生提出未核验的正当理由 · File a claim for a student, as the counselor of the class or a registrar."""
    command = FileClaim(
        roll_call_id, body.reason_code, body.text or "", body.student_id, tuple(body.attachment_ids)
    )
    async with caller.transaction() as session:
        view = await file_claim(session, caller.actor, command, caller.at)
    return ClaimOut.of(view)


@router.get("/reason-claims", responses=problem_responses(401, 404, 422))
@with_names
async def list_reason_claims(
    caller: StaffCaller,
    state: ClaimState | None = None,
    roll_call_id: UUID | None = None,
    student_id: UUID | None = None,
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    sort: ClaimSort = "-filed_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[ClaimOut]:
    """未核验理由（新的在前） · Claims of the schools below, of the own school or of the own classes; newest first."""
    search = ClaimSearch(state, roll_call_id, student_id, unit_id, student_condition(caller, q))
    async with caller.transaction() as session:
        page = await load_claims_page(session, caller.actor, search, PageRequest(limit, cursor, sort, total))
    return page.render_counted(ClaimOut.of)


@router.get("/reason-claims/{claim_id}", responses=problem_responses(401, 404, 422))
@with_names
async def get_reason_claim(caller: StaffCaller, claim_id: UUID) -> ClaimOut:
    """查看理由 · One claim."""
    async with caller.transaction() as session:
        view = await load_claim(session, caller.actor, claim_id)
    return ClaimOut.of(view)


@router.post(
    "/reason-claims/{claim_id}/decision",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
@with_names
async def decide_reason_claim(caller: StaffCaller, claim_id: UUID, body: ClaimDecisionIn) -> ClaimOut:
    """认定理由（由发起单位或其上级） · Accept or refuse a claim, once, as the launching side."""
    command = DecideClaim(claim_id, body.accepted, body.opinion)
    async with caller.transaction() as session:
        view = await decide_claim(session, caller.actor, command, caller.at)
    return ClaimOut.of(view)
