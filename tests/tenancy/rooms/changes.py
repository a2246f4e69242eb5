"""Change requests and the ledger."""

from typing import Any

from backend.core.acting import Acting
from tests.tenancy.rows import Row
from tests.world import School

STAFF: tuple[Row, ...] = ()
MOBILE: tuple[Row, ...] = ()


async def things(
    assembly: Any,
    school: School,
    superior: Acting,
    made: dict[str, Any],
) -> dict[str, Any]:
    """One of everything of this room in the school; `made` holds what the house has made so far."""
    return {}
