"""Bulk acts: a row with an id of another tenant is refused like a row with an unknown id."""

from typing import Any

from backend.core.actor import Actor
from tests.support.province import SampleSchool
from tests.tenancy.rows import IdOf, Row

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row(
        "POST /v1/roll-calls/{roll_call_id}/student-reminders",
        "403      403    ok        ok",
        {"student_ids": [IdOf("student")]},
    ),
    Row(
        "POST /v1/counselor-assignments",
        "403      403    ok        403",
        {"assignments": [{"class_id": IdOf("spare_class"), "counselor_id": IdOf("counselor")}]},
    ),
    Row(
        "POST /v1/card-codes",
        "403      403    ok        403",
        {"student_ids": [IdOf("second_student")]},
    ),
    Row(
        "POST /v1/prompt-receipts",
        "403      403    ok        403",
        {"prompt_ids": [IdOf("received_prompt")]},
    ),
    Row(
        "POST /v1/dismissal-acknowledgements",
        "ok       ok     403       403",
        {"decision_ids": [IdOf("dismissal")], "opinion": "材料齐全，同意"},
    ),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Create nothing: the rows act on the records of the single acts."""
    return {}
