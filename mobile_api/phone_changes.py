"""The student's own phone number: what the school proposed, and the student's answer on the bound phone."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.identity.phone_changes.queries import load_own_phone_changes
from backend.identity.phone_changes.schemas import OwnPhoneChangeOut, PhoneChangeAnswerIn
from backend.identity.phone_changes.service import DecidePhoneChange, decide_phone_change
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1/me", tags=["联系电话变更 · phone changes"])


@router.get("/phone-changes", responses=problem_responses(401))
async def list_phone_changes(caller: PhoneCaller) -> list[OwnPhoneChangeOut]:
    """学校提出的联系电话变更 · The numbers that the school proposed for me, newest first."""
    async with caller.transaction() as session:
        changes = await load_own_phone_changes(session, caller.actor)
    return [OwnPhoneChangeOut.of(change) for change in changes]


@router.post("/phone-changes/{change_id}/answer", responses=problem_responses(401, 404, 409, 422))
async def answer_own_phone_change(
    change_id: UUID, body: PhoneChangeAnswerIn, caller: PhoneCaller
) -> OwnPhoneChangeOut:
    """确认或拒绝 · Confirm the number, which then receives codes, or refuse it."""
    async with caller.transaction() as session:
        change = await decide_phone_change(
            session, caller.actor, DecidePhoneChange(change_id, body.outcome), caller.at
        )
    return OwnPhoneChangeOut.of(change)
