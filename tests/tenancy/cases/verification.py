"""The verification queue, with a dead letter of a superior's roll call in each school."""

from typing import Any

from sqlalchemy import update

from backend.core.actor import Actor
from backend.roll_call.tables import Submission, VerificationTask
from backend.roll_call.verification.queue import enqueue_verification
from tests.support.province import SampleSchool
from tests.tenancy.rows import IdOf, Row

STAFF: tuple[Row, ...] = (
    # ---------------------------------------------------- province bureau registrar counselor
    Row("GET /v1/roll-calls/{roll_call_id}/verification", "ok       ok     403       403"),
    Row("GET /v1/dead-letters", "ok       ok     ok        403", note="of all roll calls"),
    Row(
        "GET /v1/dead-letters",
        "ok       ok     403       403",
        query={"roll_call_id": IdOf("roll_call")},
    ),
    Row("POST /v1/dead-letters/{submission_id}/retry", "ok       ok/409 403       403"),
    Row("POST /v1/roll-calls/{roll_call_id}/dead-letters/retry", "ok       ok     403       403"),
)
MOBILE: tuple[Row, ...] = ()


async def create_records(
    builder: Any, school: SampleSchool, superior: Actor, existing: dict[str, Any]
) -> dict[str, Any]:
    """Turn the verification task of the existing submission into a dead letter."""
    submission = Submission.id == existing["submission"]
    async with builder.roll.owner_transaction() as session:
        await enqueue_verification(session, submission, builder.at)
        await session.execute(
            update(VerificationTask)
            .where(VerificationTask.submission_id == existing["submission"])
            .values(state="dead", died_at=builder.at, attempts=5, last_error="judging_failed")
        )
    return {}
