"""The standing ledger: of one student, of many students, and as a feed for other platforms (HN334-2.4)."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.pagination import Cursor, CursorInvalid, Limit, Page, decode_time_cursor, encode_cursor
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import Day
from backend.identity.names import with_names
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import build_page, cursor_id, cursor_key
from backend.standing.ledger.conversions import load_conversions_page
from backend.standing.ledger.queries import (
    ChangesSearch,
    load_changes_page,
    load_feed_page,
    load_ledger,
    load_status_on,
)
from backend.standing.ledger.schemas import (
    ConversionsOut,
    LedgerOut,
    StandingEntryOut,
    StandingFeedOut,
    StatusOnOut,
)

router = APIRouter(prefix="/v1", tags=["学籍异动 · standing changes"])

Cause = Literal["decision", "expiry", "appeal", "reversal", "edit"]
TermCode = Annotated[str, Query(min_length=1, max_length=40, pattern=r"^[^\x00]+$", examples=["2026-autumn"])]
MAX_SEQ = 2**63 - 1


@router.get("/students/{student_id}/standing-entries", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_standing_entries(caller: StaffCaller, student_id: UUID) -> LedgerOut:
    """学籍异动台账与锁定状态 · A student's ledger with the status before and after each change, and the lock."""
    async with caller.transaction() as session:
        ledger = await load_ledger(session, caller.actor, student_id)
    return LedgerOut.of(ledger)


@router.get("/students/{student_id}/status", responses=problem_responses(401, 403, 404, 409, 422))
@with_names
async def get_student_status(
    caller: StaffCaller,
    student_id: UUID,
    on: Annotated[
        Day | None,
        Query(description="过去的日期，默认今天 · a day that is not in the future; default today"),
    ] = None,
) -> StatusOnOut:
    """某日的学籍状态（由台账重现） · The status on a past day, reproduced from the ledger."""
    async with caller.transaction() as session:
        status = await load_status_on(session, caller.actor, student_id, on, caller.at)
    return StatusOnOut.of_day(status)


@router.get("/standing-changes", responses=problem_responses(401, 403, 422))
@with_names
async def list_standing_changes(
    caller: StaffCaller,
    school_id: UUID | None = None,
    term: TermCode | None = None,
    cause: Cause | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[StandingEntryOut]:
    """学籍异动（新的在前） · Changes in the caller's schools, newest first."""
    search = ChangesSearch(school_id, term, cause)
    async with caller.transaction() as session:
        rows = await load_changes_page(session, caller.actor, search, decode_time_cursor(cursor), limit + 1)
    shown = rows[:limit]
    last = shown[-1].entry if len(rows) > limit else None
    next_cursor = encode_cursor(last.recorded_at.isoformat(), str(last.id)) if last else None
    return Page(items=[StandingEntryOut.of(view) for view in shown], next_cursor=next_cursor)


@router.get("/standing-changes/feed", responses=problem_responses(401, 403, 422))
@with_names
async def get_standing_feed(
    caller: StaffCaller,
    since: Annotated[
        str | None, Query(max_length=400, description="上次返回的 since · the `since` of the previous page")
    ] = None,
    limit: Limit = 200,
) -> StandingFeedOut:
    """学籍异动增量（供共享平台按序拉取） · Changes in the order of recording, each exactly once, for other platforms."""
    after = _feed_number(since)
    async with caller.transaction() as session:
        rows = await load_feed_page(session, caller.actor, after, limit + 1)
    shown = rows[:limit]
    return StandingFeedOut(
        items=[StandingEntryOut.of(item.view) for item in shown],
        since=encode_cursor(str(shown[-1].seq)) if shown else since,
        more=len(rows) > limit,
    )


def _feed_number(since: str | None) -> int:
    key = cursor_key(since)
    if key is None:
        return 0
    if not (key.isascii() and key.isdigit()) or int(key) > MAX_SEQ:
        raise CursorInvalid
    return int(key)


@router.get("/reports/conversions", responses=problem_responses(401, 403, 422))
async def list_conversions(
    caller: StaffCaller, term: TermCode, limit: Limit = 50, cursor: Cursor = None
) -> Page[ConversionsOut]:
    """转为非全日制统计（按学校） · Students changed to part-time in the term, by school and cause."""
    async with caller.transaction() as session:
        rows = await load_conversions_page(session, caller.actor, term, cursor_id(cursor), limit + 1)
    return build_page(rows, limit, ConversionsOut.model_validate, lambda row: row.school_id)
