"""Pictures of students: pictures that were sent for two students."""

from typing import Any

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.identity.tables import SharedPicture
from tests.support.province import SampleSchool
from tests.tenancy.rows import IdOf, Row

STAFF: tuple[Row, ...] = (
    # ------------------------------------------------- province bureau registrar counselor
    Row("GET /v1/shared-pictures", "ok       ok     ok        403", query={"school_id": IdOf("school")}),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """A picture of two students of the school."""
    one, other = school.students[:2]
    async with builder.roll.owner_transaction() as session:
        session.add(
            SharedPicture(
                id=new_id(),
                school_id=school.id,
                student_id=one.id,
                other_school_id=school.id,
                other_student_id=other.id,
                source="face_enrolment",
                source_id=new_id(),
                kind="same",
                sent_by_other=False,
                at=builder.at,
            )
        )
    return {}
