"""Explanations of what the other rooms have made."""

from typing import Any
from uuid import UUID

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.standing.store.tables import StandingWarningRecord
from tests.support.province import Pupil, School
from tests.tenancy.rows import Of, Row


def _staff(kind: str, words: str, thing: str) -> Row:
    path = {"kind": kind, "case_id": Of(thing)}
    return Row("GET /v1/explanations/{kind}/{case_id}", words, path=path, why=f"of a {kind}")


def _own(kind: str, words: str, thing: str) -> Row:
    path = {"kind": kind, "case_id": Of(thing)}
    return Row("GET /v1/me/explanations/{kind}/{case_id}", words, path=path, why=f"of a {kind}")


STAFF: tuple[Row, ...] = (
    # ------------------------------ province bureau registrar counselor
    _staff("prompt", "ok       ok     ok        ok", "prompt"),
    _staff("entry", "ok       ok     ok        404", "prompted_change"),
    _staff("warning", "ok       ok     ok        ok", "warning"),
    _staff("withdrawal", "ok       ok     ok        404", "aid_filing"),
    _staff("appeal", "ok       ok     ok        403", "own_appeal"),
)
MOBILE: tuple[Row, ...] = (
    _own("prompt", "ok", "prompt"),
    _own("entry", "404", "prompted_change"),
    _own("warning", "ok", "warning"),
    _own("withdrawal", "404", "aid_filing"),
    _own("appeal", "ok", "own_appeal"),
)


async def things(
    assembly: Any,
    school: School,
    superior: Actor,
    made: dict[str, Any],
) -> dict[str, Any]:
    """A warning for three students; prompts, changes, filings and appeals are those of their own rooms."""
    first, second, _ = school.classes
    return {
        "warning": await _warned(assembly, first.students[0]),
        "classmate_warning": await _warned(assembly, first.students[2]),
        "colleague_warning": await _warned(assembly, second.students[0]),
    }


async def _warned(assembly: Any, pupil: Pupil) -> UUID:
    warning_id = new_id()
    async with assembly.roll.arrange() as session:
        session.add(
            StandingWarningRecord(
                id=warning_id,
                school_id=pupil.school_id,
                student_id=pupil.id,
                code="leave_days_used",
                term_code="2026-autumn",
                facts=["day:10"],
                proposed="suspension",
                at=assembly.at,
            )
        )
    return warning_id
