"""The results of a roll call as rows of a workbook, streamed from one query."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.bilingual import Bilingual, format_instant
from backend.core.keys import KeyRing
from backend.core.web.workbook import Cell, Column
from backend.people.queries import mask_student_number
from backend.roll_call import reason_texts
from backend.roll_call.exports.labels import DUTIES, METHODS, OUTCOMES
from backend.roll_call.exports.service import BATCH_ROWS, School
from backend.roll_call.results.listing import ResultFilter, select_results_for_export
from backend.roll_call.tables import RollCall

SHEET = "核验结果 Results"
COLUMNS = (
    Column("学校标识码", "School code"),
    Column("学校", "School", 28),
    Column("班级", "Class", 18),
    Column("姓名", "Name"),
    Column("学籍号", "Student number", 22),
    Column("是否应核验", "Duty", 12),
    Column("不参加或请假原因", "Why not", 24),
    Column("结果", "Outcome", 12),
    Column("结果原因", "Reason", 36),
    Column("认定方式", "Method", 16),
    Column("是否计入次数", "Counts as a miss", 12),
    Column("不计入原因", "Why not counted", 30),
    Column("认定时间", "Decided at", 18),
)


@dataclass(frozen=True, slots=True)
class ExportedResult:
    """One row of the query."""

    student_id: UUID
    school_id: UUID
    name: str
    student_number_sealed: bytes | None
    class_name: str
    duty: str
    duty_reason: str | None
    outcome: str | None
    reason: str | None
    method: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Counting:
    """Whether a miss counts, and if not, why. Both None: no miss, or not assessed yet."""

    counts: bool | None = None
    why: Bilingual | None = None


async def stream_results(
    session: AsyncSession, actor: Actor, roll_call: RollCall, filters: ResultFilter
) -> AsyncIterator[Sequence[ExportedResult]]:
    """The results in batches, by school, class and name. One query, so all rows are of the same instant."""
    statement = await select_results_for_export(session, actor, roll_call, filters)
    rows = await session.stream(statement.execution_options(yield_per=BATCH_ROWS))
    async for batch in rows.partitions():
        yield [ExportedResult(*row) for row in batch]


def result_cells(row: ExportedResult, school: School, counting: Counting, keys: KeyRing) -> Sequence[Cell]:
    """The cells of one result, in the order of `COLUMNS`."""
    counts = {None: "", True: "计入", False: "不计入"}[counting.counts]
    return (
        school.code,
        school.name,
        row.class_name,
        row.name,
        mask_student_number(row.student_id, row.student_number_sealed, keys) or "",
        DUTIES[row.duty],
        reason_texts.reason(row.duty_reason).zh if row.duty_reason else "",
        OUTCOMES[row.outcome] if row.outcome else "",
        reason_texts.closed_reason(row.reason).zh if row.reason else "",
        METHODS[row.method] if row.method else "",
        counts,
        counting.why.zh if counting.why else "",
        format_instant(row.at) if row.at else "",
    )
