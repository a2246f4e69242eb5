"""Registration of students: registrars see their school, authorities the schools below them."""

from datetime import date, timedelta
from typing import Any

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.registration.schools.tables import SchoolInspection, SchoolLicence
from tests.support.province import SampleSchool
from tests.tenancy.rows import Computed, IdOf, Row

PERMISSION = {
    "until": Computed(lambda scenario: (legal_day(scenario.clock()) + timedelta(days=1)).isoformat()),
    "reasons": "学校漏导一个班，已核对",
}

LICENCE = {
    "number": "教民141010060000018号",
    "issued_by": "市教育局",
    "covers": "中等职业学历教育",
    "valid_from": "2024-01-01",
    "valid_until": "2027-12-31",
}
INSPECTION = {"year": 2026, "conclusion": "passed", "findings": "合格", "inspected_on": "2026-01-15"}

LEAVING = {"leaving_on": Computed(lambda scenario: legal_day(scenario.clock()).isoformat())}
GRADUATE = {"student_id": IdOf("student"), "certificate_number": "410100202600123"}

STAFF: tuple[Row, ...] = (
    # ------------------------------------------------------ province bureau registrar counselor
    Row("GET /v1/registration-calendar", "ok       ok     ok        403"),
    Row("GET /v1/registrations", "ok       ok     ok        403"),
    Row("GET /v1/school-registrations", "ok       ok     ok        403"),
    Row(
        "POST /v1/schools/{school_id}/carry-over-permissions",
        "ok       ok     403       403",
        PERMISSION,
    ),
    Row("GET /v1/carry-over-permissions", "ok       ok     ok        403"),
    Row("GET /v1/school-qualifications", "ok       ok     ok        403"),
    Row("GET /v1/schools/{school_id}/qualification", "ok       ok     ok        403"),
    Row("POST /v1/schools/{school_id}/licences", "ok       ok     403       403", LICENCE),
    Row(
        "POST /v1/licences/{licence_id}/revocation",
        "ok/409   ok/409 403       403",
        {"revoked_on": "2026-06-01", "reasons": "未经批准设立校外办学点"},
    ),
    Row("POST /v1/schools/{school_id}/inspections", "ok       ok     403       403", INSPECTION),
    Row(
        "POST /v1/inspections/{inspection_id}/steps",
        "ok/409   ok/409 403       403",
        {"kind": "published", "day": "2026-02-10", "note": "市教育局网站"},
    ),
    Row(
        "POST /v1/schools/{school_id}/measures",
        "409      409    403       403",
        {"kind": "lifted", "reasons": "已整改"},
    ),
    Row("GET /v1/classes/{class_id}/graduation", "403      403    ok        403", query=LEAVING),
    Row(
        "POST /v1/classes/{class_id}/graduations",
        "403      403    ok        403",
        LEAVING | {"students": [GRADUATE]},
        note="each student has a result of its own",
    ),
    Row("GET /v1/graduations", "ok       ok     ok        403"),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """A licence and an inspection of the school."""
    del existing
    owner = {"school_id": school.id, "recorded_by": superior.account_id, "at": builder.at}
    licence = SchoolLicence(
        id=new_id(),
        number="教民2号",
        issued_by="市教育局",
        covers="中等职业学历教育",
        valid_from=date(2024, 1, 1),
        valid_until=date(2027, 12, 31),
        **owner,
    )
    inspection = SchoolInspection(
        id=new_id(),
        year=2025,
        conclusion="passed",
        findings="合格",
        inspected_on=date(2025, 1, 15),
        mend_by=None,
        **owner,
    )
    async with builder.roll.owner_transaction() as session:
        session.add_all([licence, inspection])
    return {"licence": licence.id, "inspection": inspection.id}
