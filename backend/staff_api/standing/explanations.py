"""Explanations for staff: prompts, changes, warnings, withdrawals of aid and appeals (PIPL art. 24)."""

from uuid import UUID

from fastapi import APIRouter

from backend.appeal.explanations import ExplanationKind, load_explanation
from backend.core.web.problems import problem_responses
from backend.staff_api.caller import StaffCaller
from backend.standing.explanations.schemas import ExplanationOut

router = APIRouter(prefix="/v1", tags=["说明 · explanations"])


@router.get("/explanations/{kind}/{case_id}", responses=problem_responses(401, 403, 404, 422))
async def get_explanation(caller: StaffCaller, kind: ExplanationKind, case_id: UUID) -> ExplanationOut:
    """查看说明 · The rule and facts behind a result, what comes next, and what you can do now."""
    async with caller.transaction() as session:
        explanation = await load_explanation(session, caller.actor, kind, case_id)
    return ExplanationOut.of(explanation)
