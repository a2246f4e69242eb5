"""Routes that return the lists of a roll call as Excel workbooks. Each export is recorded."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.web.problems import problem_responses
from backend.core.web.requests import Caller
from backend.core.web.workbook import ListWorkbook
from backend.org.queries import get_unit_in_subtree
from backend.roll_call.access import access_roll_call
from backend.roll_call.exports import missing, results
from backend.roll_call.exports.service import (
    describe_export,
    load_schools,
    record_export,
    require_exportable,
    require_rows,
)
from backend.roll_call.results.listing import ResultFilter
from backend.roll_call.results.missing import MissingSearch
from backend.roll_call.tables import RollCall, RollCallStep
from backend.staff_api.caller import StaffCaller
from backend.staff_api.roll_calls.results import Outcome
from backend.staff_api.student_search import StudentSearchText, student_condition
from backend.staff_api.workbook_response import WORKBOOK_BODY, WorkbookResponse, workbook_response
from backend.standing.student_view.counting import judge_miss, load_positions

router = APIRouter(prefix="/v1", tags=["点名核验 · roll calls"])


async def _find_unit_path(session: AsyncSession, caller: Caller, unit_id: UUID | None) -> str:
    return (await get_unit_in_subtree(session, caller.actor, unit_id or caller.actor.org_id)).path


@router.get(
    "/roll-calls/{roll_call_id}/results.xlsx",
    response_class=WorkbookResponse,
    responses=WORKBOOK_BODY | problem_responses(401, 403, 404, 422),
)
async def export_results(
    caller: StaffCaller,
    roll_call_id: UUID,
    outcome: Outcome = None,
    class_id: UUID | None = None,
    unit_id: UUID | None = None,
    q: StudentSearchText = None,
) -> StreamingResponse:
    """导出核验结果为 Excel（留痕） · The results as a workbook; the export is recorded. `unit_id`: a city, county or school."""
    keys, at = caller.app_context.keys, caller.at
    async with ListWorkbook(results.SHEET, results.COLUMNS) as book:
        async with caller.transaction() as session:
            path = await _find_unit_path(session, caller, unit_id)
            roll_call = await access_roll_call(session, caller.actor, roll_call_id, at)
            if class_id is None:
                await require_exportable(session, roll_call, path)
            filters = ResultFilter(outcome, class_id, matching=student_condition(caller, q), unit_path=path)
            schools = await load_schools(session, roll_call)
            voided = await session.get(RollCallStep, (roll_call_id, "voided")) is not None
            async for batch in results.stream_results(session, caller.actor, roll_call, filters):
                countings = await _count_misses(session, roll_call, batch, voided=voided)
                await book.add_rows(
                    [
                        results.result_cells(row, schools[row.school_id], counting, keys)
                        for row, counting in zip(batch, countings, strict=True)
                    ]
                )
            record_export(session, caller.actor, roll_call, "results", book.rows, at)
            notes = await describe_export(session, caller.actor, roll_call, book.rows, at)
        return await workbook_response(
            await book.finish(notes), f"{roll_call.title}-核验结果", f"results-{roll_call_id}"
        )


async def _count_misses(
    session: AsyncSession, roll_call: RollCall, rows: Sequence[results.ExportedResult], *, voided: bool
) -> Iterable[results.Counting]:
    missed = [row.student_id for row in rows if row.outcome == "missed"]
    positions = await load_positions(session, missed) if missed else {}
    countings = []
    for row in rows:
        found = judge_miss(
            positions, row.student_id, roll_call.id, roll_call.kind, row.outcome, voided=voided
        )
        countings.append(results.Counting(found.why is None, found.words) if found else results.Counting())
    return countings


@router.get(
    "/roll-calls/{roll_call_id}/missing.xlsx",
    response_class=WorkbookResponse,
    responses=WORKBOOK_BODY | problem_responses(401, 403, 404, 422),
)
async def export_missing_students(
    caller: StaffCaller,
    roll_call_id: UUID,
    class_id: UUID | None = None,
    unit_id: UUID | None = None,
    q: StudentSearchText = None,
) -> StreamingResponse:
    """导出未通过名单为 Excel（留痕） · The missing students as a workbook; the export is recorded."""
    at = caller.at
    async with ListWorkbook(missing.SHEET, missing.COLUMNS) as book:
        async with caller.transaction() as session:
            path = await _find_unit_path(session, caller, unit_id)
            roll_call = await access_roll_call(session, caller.actor, roll_call_id, at)
            schools = await load_schools(session, roll_call)
            search = MissingSearch(class_id, student_condition(caller, q), path)
            async for batch in missing.stream_missing(session, caller.actor, roll_call, search):
                require_rows(book.rows + len(batch))
                await book.add_rows([missing.missing_cells(row, schools[row.school_id]) for row in batch])
            record_export(session, caller.actor, roll_call, "missing", book.rows, at)
            notes = await describe_export(session, caller.actor, roll_call, book.rows, at)
        return await workbook_response(
            await book.finish(notes), f"{roll_call.title}-未通过名单", f"missing-{roll_call_id}"
        )
