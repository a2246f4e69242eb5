"""A difference between the stored standing and the facts, about a student of the first class."""

from typing import Any

from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.standing.store.tables import ReplayDifference
from tests.support.province import SampleSchool
from tests.tenancy.rows import Row

STAFF: tuple[Row, ...] = (
    # --------------------------------------------- province bureau registrar counselor
    Row("GET /v1/replay-differences", "ok       ok     ok        403"),
    Row(
        "POST /v1/replay-differences/{difference_id}/review",
        "ok/409   ok/409 ok/409    403",
        {"note": "已核对，导入时写错"},
    ),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """One difference that the replay found."""
    difference = ReplayDifference(
        id=new_id(),
        school_id=school.id,
        student_id=existing["student"],
        found_by="replay",
        digest=new_id().bytes * 2,
        differences=[{"kind": "prompt_differs", "id": str(new_id()), "stored": {}, "replayed": {}}],
        found_at=builder.at,
    )
    async with builder.roll.owner_transaction() as session:
        session.add(difference)
    return {"difference": difference.id}
