"""What retention deleted: the province's to read."""

from typing import Any

from backend.core.acting import Acting
from tests.tenancy.rows import Row
from tests.world import School

STAFF: tuple[Row, ...] = (
    # ---------------------------- province bureau registrar counselor
    Row("GET /v1/retention-runs", "ok       403    403       403"),
)
MOBILE: tuple[Row, ...] = ()


async def things(
    assembly: Any,
    school: School,
    superior: Acting,
    made: dict[str, Any],
) -> dict[str, Any]:
    """Nothing that belongs to a school."""
    return {}
