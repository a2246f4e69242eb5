"""Routes of the verification queue for the launcher: progress, dead letters and their retry."""

from uuid import UUID

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page, decode_time_cursor, encode_cursor
from backend.core.web.problems import problem_responses
from backend.identity.names import with_names
from backend.roll_call.verification import dead_letters
from backend.roll_call.verification.dead_letters import (
    access_launched_roll_call,
    load_dead_letters,
    retry_all_dead_letters,
)
from backend.roll_call.verification.metrics import load_queue_metrics
from backend.roll_call.verification.schemas import DeadLetterOut, RetriedOut, VerificationOut
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["核验队列 · verification queue"])


@router.get("/roll-calls/{roll_call_id}/verification", responses=problem_responses(401, 403, 404, 422))
async def get_verification_queue(caller: StaffCaller, roll_call_id: UUID) -> VerificationOut:
    """核验进度和预计完成时间（发起单位及其上级） · Verification progress and estimated time left."""
    at = caller.at
    async with caller.transaction() as session:
        await access_launched_roll_call(session, caller.actor, roll_call_id, at)
        metrics = await load_queue_metrics(session, roll_call_id, at)
    return VerificationOut.of(metrics, at)


@router.get("/dead-letters", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_dead_letters(
    caller: StaffCaller, roll_call_id: UUID | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[DeadLetterOut]:
    """未能核验的提交（新的在前） · Submissions that could not be verified, newest first."""
    at = caller.at
    async with caller.transaction() as session:
        rows = await load_dead_letters(
            session, caller.actor, roll_call_id, decode_time_cursor(cursor), limit + 1, at
        )
    items = [DeadLetterOut.of(row, at) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    next_cursor = encode_cursor(last.died_at.isoformat(), str(last.submission_id)) if last else None
    return Page(items=items, next_cursor=next_cursor)


@router.post(
    "/dead-letters/{submission_id}/retry",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def retry_dead_letter(caller: StaffCaller, submission_id: UUID) -> RetriedOut:
    """重新核验一份提交 · Put one submission back into the queue."""
    async with caller.transaction() as session:
        await dead_letters.retry_dead_letter(session, caller.actor, submission_id, caller.at)
    return RetriedOut(retried=1)


@router.post(
    "/roll-calls/{roll_call_id}/dead-letters/retry",
    status_code=201,
    responses=problem_responses(401, 403, 404, 422),
)
async def retry_dead_letters(caller: StaffCaller, roll_call_id: UUID) -> RetriedOut:
    """重新核验一次点名的全部此类提交 · Put all dead letters of a roll call back into the queue."""
    async with caller.transaction() as session:
        return RetriedOut(
            retried=await retry_all_dead_letters(session, caller.actor, roll_call_id, caller.at)
        )
