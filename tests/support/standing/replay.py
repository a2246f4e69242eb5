"""An executed change to replay, and tampering with stored rows."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from backend.standing.store import tables
from tests.support.standing.scenario import Registry


async def executed(registry: Registry) -> UUID:
    """Let a delivered prompt about two misses expire. Returns the entry of the automatic execution."""
    await registry.misses(2)
    await registry.recompute()
    [prompt] = await registry.rows(tables.PromptRecord)
    registry.pass_time(minutes=1)
    async with registry.roll_call_scenario.owner_transaction() as session:
        session.add(
            tables.PromptDelivered(
                prompt_id=prompt.id,
                school_id=prompt.school_id,
                student_id=prompt.student_id,
                at=registry.at,
                how="receipt",
                acting_account=None,
            )
        )
    registry.pass_time(days=20)
    await registry.recompute()
    [entry] = await registry.rows(tables.StandingEntry)
    registry.pass_time(hours=1)
    entry_id: UUID = entry.id
    return entry_id


async def tamper(registry: Registry, statement: Any, **values: Any) -> None:
    async with registry.roll_call_scenario.owner_transaction() as session:
        await session.execute(text(statement) if isinstance(statement, str) else statement, values)
