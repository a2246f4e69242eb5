"""The student's own reason claims (reading 10)."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.listing.pages import PageRequest
from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.identity.devices.cool_down import record_cool_down_act
from backend.identity.names import with_names
from backend.standing.claims.queries import ClaimSearch, load_claim, load_claims_page, load_justified_reasons
from backend.standing.claims.schemas import ClaimIn, ClaimOut, JustifiedReasonOut
from backend.standing.claims.service import FileClaim, file_claim
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["正当理由 · reason claims"])


@router.get("/justified-reasons", responses=problem_responses(401))
async def list_justified_reasons(caller: PhoneCaller) -> list[JustifiedReasonOut]:
    """正当理由目录 · The catalogue of justified reasons in force today."""
    return [
        JustifiedReasonOut.model_validate(reason)
        for reason in load_justified_reasons(caller.actor, caller.at)
    ]


@router.post(
    "/roll-calls/{roll_call_id}/reason-claims",
    status_code=201,
    responses=problem_responses(401, 404, 409, 422),
)
@with_names
async def submit_reason_claim(caller: PhoneCaller, roll_call_id: UUID, body: ClaimIn) -> ClaimOut:
    """对未按时核验提出正当理由 · Claim a justified reason for a missed roll call, once."""
    command = FileClaim(
        roll_call_id, body.reason_code, body.text or "", attachment_ids=tuple(body.attachment_ids)
    )
    async with caller.transaction() as session:
        view = await file_claim(session, caller.actor, command, caller.at)
        await record_cool_down_act(session, caller.actor, "reason_claim", view.claim.id, caller.at)
    return ClaimOut.of(view)


@router.get("/reason-claims", responses=problem_responses(401, 422))
@with_names
async def list_reason_claims(caller: PhoneCaller, limit: Limit = 20, cursor: Cursor = None) -> Page[ClaimOut]:
    """我提出的理由（新的在前） · My claims, newest first."""
    async with caller.transaction() as session:
        page = await load_claims_page(session, caller.actor, ClaimSearch(), PageRequest(limit, cursor))
    return page.render(ClaimOut.of)


@router.get("/reason-claims/{claim_id}", responses=problem_responses(401, 404, 422))
@with_names
async def get_reason_claim(caller: PhoneCaller, claim_id: UUID) -> ClaimOut:
    """查看理由 · One claim of mine."""
    async with caller.transaction() as session:
        view = await load_claim(session, caller.actor, claim_id)
    return ClaimOut.of(view)
