"""Imports a file of aid payments: all rows or none. Importing the same file again changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.aid.errors import AidFileEmpty, AidPaymentsUnfit
from backend.aid.payments import PaymentLine, PaymentResult, find_students_by_number, record_payments
from backend.core.actor import Actor
from backend.core.keys import KeyRing
from backend.exchange.aid_payments.reader import PaymentFile, PaymentRow
from backend.exchange.roster.issues import RowIssue, Severity
from backend.people.identifiers import Defect

UNKNOWN_STUDENT_NUMBER = Defect(
    "student_not_on_roll",
    "本单位学籍中没有这个学籍号，请核对。",
    "No student has this student number; check it.",
)
AMBIGUOUS_STUDENT_NUMBER = Defect(
    "student_number_on_two_rolls",
    "这个学籍号在两所学校都有学籍，请由学校分别登记。",
    "Students of two schools have this student number. Each school must record its own payments.",
)


@dataclass(frozen=True, slots=True)
class PaymentImport:
    """The result of an import. If there are issues, `result` is None and the caller must roll back."""

    rows: int
    issues: tuple[RowIssue, ...]
    result: PaymentResult | None


async def import_payments(
    session: AsyncSession, actor: Actor, file: PaymentFile, keys: KeyRing, at: datetime
) -> PaymentImport:
    """Record all rows of a file or none. Idempotent.

    Raises `NotPermitted` and `AidFileEmpty`. Errors of single rows are returned as issues; the caller then rolls the
    transaction back.
    """
    if not file.rows and not file.issues:
        raise AidFileEmpty
    numbers = await find_students_by_number(session, keys, {row.student_number for row in file.rows})
    issues = list(file.issues)
    lines = []
    for line, row in enumerate(file.rows):
        students = numbers[row.student_number]
        if len(students) != 1:
            defect = AMBIGUOUS_STUDENT_NUMBER if students else UNKNOWN_STUDENT_NUMBER
            issues.append(_build_issue(row, "student_number", row.student_number, defect))
        else:
            lines.append(_build_line(line, row, students[0]))
    try:
        result = await record_payments(session, actor, lines, at, file.sha256)
    except AidPaymentsUnfit as error:
        for issue in error.issues:
            defect = Defect(issue.code, issue.zh, issue.en)
            issues.append(_build_issue(file.rows[issue.line], issue.field, issue.value, defect))
        result = None
    return PaymentImport(len(file.rows), tuple(issues), None if issues else result)


def _build_line(line: int, row: PaymentRow, student_id: UUID) -> PaymentLine:
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


def _build_issue(row: PaymentRow, field: str, value: str, defect: Defect) -> RowIssue:
    column = row.columns.get(field) or row.columns["student_number"]
    return column.issue(row.sheet, row.row, value, defect, Severity.ERROR)
