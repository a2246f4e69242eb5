"""Changes of the phone numbers of students who have bound a phone."""

from typing import Any
from uuid import UUID

from backend.core.actor import Actor
from backend.identity.phone_changes.service import ProposeNumber, propose_number
from tests.support.province import SampleSchool, SampleStudent, registrar_account
from tests.tenancy.rows import IdOf, Row

PROPOSED = {"student_id": IdOf("student"), "phone": "13900000001", "reasons": "更换手机号"}
OF_CLASSMATE = {"change_id": IdOf("classmate_phone_change")}
OWN = {"change_id": IdOf("phone_change")}

STAFF: tuple[Row, ...] = (
    # -------------------------------------- province bureau registrar counselor
    Row("GET /v1/phone-changes", "ok       ok     ok        403", query={"school_id": IdOf("school")}),
    Row("POST /v1/phone-changes", "403      403    ok/409    404", PROPOSED),
    Row(
        "POST /v1/phone-changes/{change_id}/decision",
        "ok/409   ok/409 403       404",
        {"outcome": "refused", "reasons": "号码不是学生本人的"},
        path=OF_CLASSMATE,
    ),
)
MOBILE: tuple[Row, ...] = (
    Row("GET /v1/me/phone-changes", "ok"),
    Row("POST /v1/me/phone-changes/{change_id}/answer", "ok/409", {"outcome": "refused"}, path=OWN),
)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Propose numbers for the student and for a classmate."""
    own, _, classmate = school.classes[0].students
    return {
        "phone_change": await _propose(builder, school, own),
        "classmate_phone_change": await _propose(builder, school, classmate),
    }


async def _propose(builder: Any, school: SampleSchool, pupil: SampleStudent) -> UUID:
    registrar = registrar_account(school)
    command = ProposeNumber(pupil.id, "13900000009", "更换手机号")
    async with builder.identity.app_context.database.transaction(registrar.scope) as session:
        change = await propose_number(session, registrar, command, builder.at)
    return change.id
