"""Pairs of similar faces, while the search is off: superiors see none, and schools may not ask."""

from typing import Any

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.identity.face.duplicates.tables import DuplicateCandidate
from tests.support.province import SampleSchool
from tests.tenancy.rows import Row

STAFF: tuple[Row, ...] = (
    # ------------------------------------------------------ province bureau registrar counselor
    Row("GET /v1/duplicate-candidates", "ok       ok     403       403"),
    Row(
        "GET /v1/duplicate-candidates/{candidate_id}/portraits/{whose}",
        "404      404    403       403",
        path={"whose": "student"},
    ),
    Row(
        "POST /v1/duplicate-candidates/{candidate_id}/answer",
        "404      404    403       403",
        {"answer": "unsure"},
    ),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """A pair of students of the first class."""
    candidate = DuplicateCandidate(
        id=new_id(),
        school_id=school.id,
        student_id=existing["student"],
        other_school_id=school.id,
        other_student_id=existing["bystander"],
        enrolment_id=new_id(),
        engine="test-pattern/1",
        score=0.95,
        shown_from=0.9,
        compared=1000,
        at=builder.at,
    )
    async with builder.roll.owner_transaction() as session:
        session.add(candidate)
    return {"candidate": candidate.id}
