"""Load why an automatic execution waited after the deadline (reading 12)."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.standing.engine.ledger import Cause
from backend.standing.engine.prompts import PromptState
from backend.standing.store import tables


async def load_wait(
    session: AsyncSession, entry: tables.StandingEntry
) -> tuple[datetime, tuple[str, ...]] | None:
    """The deadline and the blockers that were open after it, or None if the execution did not wait."""
    if entry.cause != Cause.EXPIRY:
        return None
    steps = tables.PromptStep
    waiting = await session.scalar(
        select(steps)
        .where(steps.prompt_id == entry.prompt_id, steps.state == PromptState.BLOCKED)
        .order_by(steps.seq.desc())
        .limit(1)
    )
    if waiting is None or waiting.due_at is None:
        return None
    return waiting.due_at, tuple(waiting.blockers)
