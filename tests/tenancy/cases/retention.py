"""Retention runs, which only the province reads."""

from typing import Any

from backend.core.actor import Actor
from tests.support.province import SampleSchool
from tests.tenancy.rows import Row

STAFF: tuple[Row, ...] = (
    # ---------------------------- province bureau registrar counselor
    Row("GET /v1/retention-runs", "ok       403    403       403"),
    Row("GET /v1/retention-summary", "ok       403    403       403"),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Create nothing: retention runs belong to no school."""
    return {}
