"""Staff endpoint with the roll calls of one student, for the school."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.core.pagination import Cursor, Limit, Page, decode_time_cursor, encode_cursor
from backend.core.web.problems import problem_responses
from backend.core.web.schema_types import ShortText
from backend.identity.names import with_names
from backend.roll_call.student_queries import StudentRollCall, load_student_roll_calls
from backend.staff_api.caller import StaffCaller
from backend.standing.access import require_student_access
from backend.standing.student_view.counting import MissCounting, judge_miss, load_positions
from backend.standing.student_view.schemas import StudentRollCallResultOut

router = APIRouter(prefix="/v1", tags=["点名核验 · roll calls"])

TermFilter = Annotated[ShortText | None, Query(description="只列某学期 · only of this term")]


@router.get("/students/{student_id}/roll-calls", responses=problem_responses(401, 403, 404, 422))
@with_names
async def list_student_roll_calls(
    caller: StaffCaller,
    student_id: UUID,
    term_code: TermFilter = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[StudentRollCallResultOut]:
    """一名学生的历次核验及结果（新的在前） · A student's roll calls with their results, newest first; for the school."""
    after = decode_time_cursor(cursor)
    async with caller.transaction() as session:
        await require_student_access(session, caller.actor, student_id)
        rows = await load_student_roll_calls(session, student_id, caller.at, after, limit + 1, term_code)
        positions = await load_positions(session, [student_id])

    def judge(row: StudentRollCall) -> MissCounting | None:
        outcome = row.outcome.outcome if row.outcome else None
        roll_call = row.roll_call
        return judge_miss(positions, student_id, roll_call.id, roll_call.kind, outcome, voided=row.voided)

    shown = rows[:limit]
    last = shown[-1].roll_call if len(rows) > limit else None
    return Page(
        items=[StudentRollCallResultOut.of(row, judge(row)) for row in shown],
        next_cursor=encode_cursor(last.opens_at.isoformat(), str(last.id)) if last else None,
    )
