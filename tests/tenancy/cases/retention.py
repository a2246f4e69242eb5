"""What retention deleted: the province's to read."""

from typing import Any

from backend.core.actor import Actor
from tests.support.province import School
from tests.tenancy.rows import Row

STAFF: tuple[Row, ...] = (
    # ---------------------------- province bureau registrar counselor
    Row("GET /v1/retention-runs", "ok       403    403       403"),
)
MOBILE: tuple[Row, ...] = ()


async def things(
    assembly: Any,
    school: School,
    superior: Actor,
    made: dict[str, Any],
) -> dict[str, Any]:
    """Nothing that belongs to a school."""
    return {}
