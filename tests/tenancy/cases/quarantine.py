"""Rows of rosters whose ID number is on another school's roll."""

from typing import Any

from sqlalchemy import select

from backend.core.actor import Actor
from backend.people.tables import QuarantinedEnrolment
from tests.support.province import SampleSchool, create_sample_province
from tests.support.roster import import_rows, roster_row
from tests.tenancy.rows import IdOf, Row

DECISION = {"reasons": "已向两校核实"}

STAFF: tuple[Row, ...] = (
    # ----------------------------------------------- province bureau registrar counselor
    Row(
        "GET /v1/quarantined-enrolments", "ok       ok     ok        403", query={"school_id": IdOf("school")}
    ),
    Row("GET /v1/quarantined-enrolments/{quarantine_id}", "ok       ok     ok        403"),
    Row(
        "POST /v1/quarantined-enrolments/{quarantine_id}/decision",
        "403      403    ok/409    403",
        DECISION | {"outcome": "withdrawn"},
    ),
    Row(
        "POST /v1/quarantined-enrolments/{quarantine_id}/decision",
        "ok/409   ok/409 403       403",
        DECISION | {"outcome": "error"},
        note="by the unit above both schools",
    ),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Import a student of another school under the same superior, which has no account here."""
    identity = builder.identity
    others = await create_sample_province(identity.owner, identity.app_context.keys, classes=1, students=1)
    other = others.school if school is builder.world.school else others.direct
    row = roster_row(other.students[0], student_number=None)
    await import_rows(identity.app_context, school, [row], builder.at)
    query = select(QuarantinedEnrolment.id).where(QuarantinedEnrolment.school_id == school.id)
    async with builder.roll.owner_transaction() as session:
        return {"quarantine_id": await session.scalar(query)}
