"""Recording a file of payments: every row, or none; the same file again changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidFileEmpty, AidPaymentsUnfit, Objection
from backend.aid.payments import PaymentLine, PaymentsRecorded, record_payments, students_by_number
from backend.core.actor import Actor
from backend.core.keys import KeyRing
from backend.exchange.aid_payments.reader import PaymentFile, PaymentRow
from backend.exchange.roster.issues import RowIssue, Severity
from backend.people.identifiers import Defect

NO_SUCH_STUDENT = Defect(
    "student_not_on_roll",
    "本单位学籍中没有这个学籍号，请核对。",
    "Nobody on the roll has this student number; check it.",
)
SEVERAL_STUDENTS = Defect(
    "student_number_on_two_rolls",
    "这个学籍号在两所学校都有学籍，请由学校分别登记。",
    "Two schools have this student number on their rolls; each school records its own.",
)


@dataclass(frozen=True, slots=True)
class EnteredFile:
    """What became of a file: nothing was recorded if there are issues."""

    rows: int
    issues: tuple[RowIssue, ...]
    recorded: PaymentsRecorded | None


async def enter_payments(
    session: AsyncSession, actor: Actor, file: PaymentFile, keys: KeyRing, at: datetime
) -> EnteredFile:
    """Record every row of a file, or none; the same file again changes nothing.

    Raises `NotPermitted` and `AidFileEmpty`; what is wrong with rows is in the answer, and then the caller rolls
    the transaction back.
    """
    if not file.rows and not file.issues:
        raise AidFileEmpty
    numbers = await students_by_number(session, keys, {row.student_number for row in file.rows})
    issues = list(file.issues)
    lines = []
    for line, row in enumerate(file.rows):
        students = numbers[row.student_number]
        if len(students) != 1:
            defect = SEVERAL_STUDENTS if students else NO_SUCH_STUDENT
            issues.append(_issue(row, "student_number", row.student_number, defect))
        else:
            lines.append(_line(line, row, students[0]))
    try:
        recorded = await record_payments(session, actor, lines, at, file.sha256)
    except AidPaymentsUnfit as unfit:
        issues += [_objection(file.rows, each) for each in unfit.objections]
        recorded = None
    return EnteredFile(len(file.rows), tuple(issues), None if issues else recorded)


def _line(line: int, row: PaymentRow, student_id: UUID) -> PaymentLine:
    return PaymentLine(
        line=line,
        place=f"{row.sheet}!{row.row}",
        student_id=student_id,
        kind=row.kind,
        month=row.month,
        fen=row.fen,
        paid_on=row.paid_on,
        reference=row.reference,
    )


def _objection(rows: tuple[PaymentRow, ...], found: Objection) -> RowIssue:
    defect = Defect(found.code, found.zh, found.en)
    return _issue(rows[found.line], found.field, found.value, defect)


def _issue(row: PaymentRow, field: str, value: str, defect: Defect) -> RowIssue:
    place = row.columns.get(field) or row.columns["student_number"]
    return place.issue(row.sheet, row.row, value, defect, Severity.ERROR)
