"""The missing students of a roll call as rows of a workbook."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.listing.pages import PageRequest
from backend.core.web.workbook import Cell, Column
from backend.roll_call.exports.labels import OUTCOMES
from backend.roll_call.exports.service import BATCH_ROWS, School
from backend.roll_call.results.missing import (
    MissingSearch,
    MissingStudent,
    explain_last_attempt,
    load_missing_page,
)
from backend.roll_call.tables import RollCall

SHEET = "未通过名单 Missing"
COLUMNS = (
    Column("学校标识码", "School code"),
    Column("学校", "School", 28),
    Column("班级", "Class", 18),
    Column("姓名", "Name"),
    Column("手机号", "Phone", 16),
    Column("已提交次数", "Check-ins", 10),
    Column("最近一次未通过的原因", "Last reason", 50),
    Column("已请找辅导员", "Sent to the counselor", 14),
    Column("结果", "Outcome", 12),
)


async def stream_missing(
    session: AsyncSession, actor: Actor, roll_call: RollCall, search: MissingSearch
) -> AsyncIterator[Sequence[MissingStudent]]:
    """The missing students in batches, by school and class."""
    cursor = None
    while True:
        request = PageRequest(BATCH_ROWS, cursor)
        batch = await load_missing_page(session, actor, roll_call, search, request)
        if batch.rows:
            yield batch.rows
        cursor = batch.next_cursor
        if cursor is None:
            return


def missing_cells(row: MissingStudent, school: School) -> Sequence[Cell]:
    """The cells of one student, in the order of `COLUMNS`."""
    words = explain_last_attempt(row)
    return (
        school.code,
        school.name,
        row.class_name,
        row.name,
        row.phone or "",
        row.submissions,
        words.zh if words else "",
        "是" if row.sent_to_a_person else "",
        OUTCOMES[row.outcome] if row.outcome else "",
    )
