"""Change requests and the ledger."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from backend.core.actor import Actor
from backend.standing.change_requests.service import RequestChange, request_change
from tests.support.province import SampleSchool, registrar_account
from tests.tenancy.rows import Computed, IdOf, Row

if TYPE_CHECKING:
    from tests.tenancy.fixtures import TenancyScenario


def _term(scenario: "TenancyScenario") -> str:
    return scenario.world.term_code


OF_REQUEST = {"request_id": IdOf("change_request")}
FILED = {"student_id": IdOf("change_student"), "change_kind": "02", "reasons": "学业未完成，申请留级"}
WITHDRAWN = {"reason": "学生已决定继续就读"}

STAFF: tuple[Row, ...] = (
    # -------------------------------------------- province bureau registrar counselor
    Row("GET /v1/change-kinds", "ok       ok     ok        ok"),
    Row("GET /v1/change-requests", "ok       ok     ok        403"),
    Row(
        "GET /v1/change-requests",
        "ok       ok     ok        403",
        query={"waiting_for": "me"},
        note="waiting for the caller",
    ),
    Row(
        "GET /v1/change-requests",
        "ok       ok     ok        403",
        query={"student_id": IdOf("change_student")},
        note="filtered",
    ),
    Row("GET /v1/change-requests/{request_id}", "ok       ok     ok        403", path=OF_REQUEST),
    Row("POST /v1/change-requests", "403      403    ok/409    403", FILED),
    Row(
        "POST /v1/change-requests/{request_id}/attachments",
        "403      403    422/409   403",
        {"attachment_ids": [IdOf("attachment")]},
        path=OF_REQUEST,
        note="of another student",
    ),
    Row(
        "POST /v1/change-requests/{request_id}/opinions",
        "403      ok/409 403       403",
        {"outcome": "agreed"},
        path=OF_REQUEST,
    ),
    Row(
        "POST /v1/change-requests/{request_id}/withdrawal",
        "403      403    ok/409    403",
        WITHDRAWN,
        path={"request_id": IdOf("spare_change_request")},
    ),
    Row("GET /v1/students/{student_id}/standing-entries", "ok       ok     ok        ok"),
    Row("GET /v1/students/{student_id}/status", "ok       ok     ok        ok"),
    Row("GET /v1/standing-changes", "ok       ok     ok        403"),
    Row(
        "GET /v1/standing-changes",
        "ok       ok     ok        403",
        query={"school_id": IdOf("school")},
        note="filtered",
    ),
    Row("GET /v1/standing-changes/feed", "ok       ok     ok        403"),
    Row("GET /v1/reports/conversions", "ok       ok     403       403", query={"term": Computed(_term)}),
)
MOBILE: tuple[Row, ...] = (Row("GET /v1/me/standing-entries", "ok"),)


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Create two pending requests to repeat a year, which affect no other records, and pick a student without any."""
    first, second, third = (pupil.id for pupil in school.classes[2].students[:3])
    return {
        "change_request": await _file_request(builder, school, first),
        "spare_change_request": await _file_request(builder, school, second),
        "change_student": third,
    }


async def _file_request(builder: Any, school: SampleSchool, student_id: UUID) -> UUID:
    registrar = registrar_account(school)
    async with builder.identity.app_context.database.transaction(registrar.scope) as session:
        command = RequestChange(student_id, "02", "学业未完成，申请留级")
        case = await request_change(session, registrar, command, builder.at)
    return case.request.id
