"""Roll calls of the browser tests: launch, findings in the database, and the close."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.core.tenancy import Scope
from backend.demo.fixtures import School
from backend.demo.staff import expect
from backend.roll_call.submission_tables import VerdictRecord
from tests.e2e.system import System

WINDOW = timedelta(minutes=90)


async def launch(system: System, school: School, title: str) -> dict[str, Any]:
    """A roll call of the school's own that opens in a moment."""
    opens = datetime.fromtimestamp(system.clients.clock(), UTC) + timedelta(seconds=2)
    body = {
        "kind": "school_own",
        "title": title,
        "opens_at": opens.isoformat(),
        "closes_at": (opens + WINDOW).isoformat(),
        "audience": {},
    }
    launched: dict[str, Any] = expect(await school.registrar.post("/v1/roll-calls", body), 201)
    return launched


async def load_findings(
    system: System, school: School, roll_call: dict[str, Any]
) -> list[tuple[str, list[str]]]:
    """Finding and reasons of each verified submission of a roll call, as stored."""
    query = (
        select(VerdictRecord.finding, VerdictRecord.reasons)
        .where(VerdictRecord.roll_call_id == UUID(roll_call["id"]))
        .order_by(VerdictRecord.at)
    )
    async with system.database.transaction(Scope.school(UUID(school.id))) as session:
        return [(row.finding, row.reasons) for row in await session.execute(query)]
