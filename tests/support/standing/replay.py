"""An executed change to replay, and tampering with stored rows."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from backend.standing.store import tables
from tests.support.standing.scenario import StandingScenario


async def execute_by_expiry(scenario: StandingScenario) -> UUID:
    """Let a delivered prompt about two misses expire. Returns the entry of the automatic execution."""
    await scenario.misses(2)
    await scenario.recompute()
    [prompt] = await scenario.rows(tables.PromptRecord)
    scenario.pass_time(minutes=1)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        session.add(
            tables.PromptDelivered(
                prompt_id=prompt.id,
                school_id=prompt.school_id,
                student_id=prompt.student_id,
                at=scenario.at,
                how="receipt",
                acting_account=None,
            )
        )
    scenario.pass_time(days=20)
    await scenario.recompute()
    [entry] = await scenario.rows(tables.StandingEntry)
    scenario.pass_time(hours=1)
    entry_id: UUID = entry.id
    return entry_id


async def tamper(scenario: StandingScenario, statement: Any, **values: Any) -> None:
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(text(statement) if isinstance(statement, str) else statement, values)
