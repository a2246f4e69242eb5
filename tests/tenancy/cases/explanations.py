"""Explanations of the records of the other modules."""

from typing import Any
from uuid import UUID

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.standing.store.tables import StandingWarningRecord
from tests.support.province import SampleSchool, SampleStudent
from tests.tenancy.rows import IdOf, Row


def _staff_row(kind: str, statuses: str, record: str) -> Row:
    path = {"kind": kind, "case_id": IdOf(record)}
    return Row("GET /v1/explanations/{kind}/{case_id}", statuses, path=path, note=f"of a {kind}")


def _mobile_row(kind: str, statuses: str, record: str) -> Row:
    path = {"kind": kind, "case_id": IdOf(record)}
    return Row("GET /v1/me/explanations/{kind}/{case_id}", statuses, path=path, note=f"of a {kind}")


STAFF: tuple[Row, ...] = (
    # ------------------------------ province bureau registrar counselor
    _staff_row("prompt", "ok       ok     ok        ok", "prompt"),
    _staff_row("entry", "ok       ok     ok        404", "prompted_change"),
    _staff_row("warning", "ok       ok     ok        ok", "warning"),
    _staff_row("withdrawal", "ok       ok     ok        404", "aid_filing"),
    _staff_row("appeal", "ok       ok     ok        403", "own_appeal"),
)
MOBILE: tuple[Row, ...] = (
    _mobile_row("prompt", "ok", "prompt"),
    _mobile_row("entry", "404", "prompted_change"),
    _mobile_row("warning", "ok", "warning"),
    _mobile_row("withdrawal", "404", "aid_filing"),
    _mobile_row("appeal", "ok", "own_appeal"),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Create warnings; prompts, changes, filings and appeals come from other modules."""
    first, second, _ = school.classes
    return {
        "warning": await _insert_warning(builder, first.students[0]),
        "classmate_warning": await _insert_warning(builder, first.students[2]),
        "colleague_warning": await _insert_warning(builder, second.students[0]),
    }


async def _insert_warning(builder: Any, pupil: SampleStudent) -> UUID:
    warning_id = new_id()
    async with builder.roll.owner_transaction() as session:
        session.add(
            StandingWarningRecord(
                id=warning_id,
                school_id=pupil.school_id,
                student_id=pupil.id,
                code="leave_days_used",
                term_code="2026-autumn",
                facts=["day:10"],
                proposed="suspension",
                at=builder.at,
            )
        )
    return warning_id
