"""Registration of students: registrars see their school, authorities the schools below them."""

from datetime import timedelta
from typing import Any

from backend.core.actor import Actor
from backend.core.clock import legal_day
from tests.support.province import SampleSchool
from tests.tenancy.rows import Computed, Row

PERMISSION = {
    "until": Computed(lambda scenario: (legal_day(scenario.clock()) + timedelta(days=1)).isoformat()),
    "reasons": "学校漏导一个班，已核对",
}

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
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """None: the lists may be empty."""
    del builder, school, superior, existing
    return {}
