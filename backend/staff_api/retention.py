"""Retention runs: which pictures and templates were deleted because their period was over."""

from datetime import timedelta

from fastapi import APIRouter

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import problem_responses
from backend.retention.queries import list_runs, sum_by_kind
from backend.retention.schedule import next_run_after
from backend.retention.schemas import KindTotalOut, RetentionRunOut, RetentionSummaryOut
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id

router = APIRouter(prefix="/v1", tags=["保存期限 · retention"])

SUMMARY_PERIOD = timedelta(days=30)


@router.get("/retention-runs", responses=problem_responses(401, 403, 422))
async def list_retention_runs(
    caller: StaffCaller, *, deleting_only: bool = False, limit: Limit = 50, cursor: Cursor = None
) -> Page[RetentionRunOut]:
    """到期删除的执行记录（新的在前） · Retention runs, newest first. For the province only."""
    async with caller.transaction() as session:
        rows = await list_runs(
            session,
            caller.actor,
            deleting_only=deleting_only,
            before=cursor_id(cursor),
            limit=limit + 1,
        )
    return build_page(rows, limit, RetentionRunOut.of, lambda row: row.id)


@router.get("/retention-summary", responses=problem_responses(401, 403))
async def get_retention_summary(caller: StaffCaller) -> RetentionSummaryOut:
    """到期删除概况（近 30 天） · When retention runs next, and what it deleted of each kind in 30 days. For the province only."""
    since = caller.at - SUMMARY_PERIOD
    async with caller.transaction() as session:
        totals = await sum_by_kind(session, caller.actor, since)
    return RetentionSummaryOut(
        next_run_at=next_run_after(caller.at),
        since=since,
        kinds=[KindTotalOut.model_validate(total) for total in totals],
    )
