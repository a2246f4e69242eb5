"""The student's own standing ledger: every change with the status before and after it, and the lock."""

from fastapi import APIRouter

from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.standing.ledger.queries import load_ledger
from backend.standing.ledger.schemas import LedgerOut
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["学籍异动 · standing changes"])


@router.get("/me/standing-entries", responses=problem_responses(401))
@with_names
async def list_standing_entries(caller: PhoneCaller) -> LedgerOut:
    """我的学籍异动 · My current status and every change of it."""
    student_id = caller.actor.student_id
    assert student_id is not None  # a phone's account is a student's
    async with caller.transaction() as session:
        ledger = await load_ledger(session, caller.actor, student_id)
    return LedgerOut.of(ledger)
