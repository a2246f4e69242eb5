"""A student who was prompted for, and the receipt of the prompt by the school."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from backend.standing.prompts.deliveries import receive_prompt
from backend.standing.store.tables import PromptRecord
from tests.support.province import Pupil
from tests.support.standing.scenario import Registry


async def prompted(registry: Registry, pupil: Pupil | None = None) -> UUID:
    """Two consecutive misses of everyone, and this student's prompt kept; its id."""
    await registry.misses(2)
    await registry.recompute(pupil)
    return await prompt_of(registry, pupil)


async def prompt_of(registry: Registry, pupil: Pupil | None = None) -> UUID:
    """The student's only prompt."""
    [prompt] = await registry.rows(PromptRecord, pupil)
    found: UUID = prompt.id
    return found


async def receive(registry: Registry, prompt_id: UUID) -> datetime:
    """The registrar confirms the receipt now; when the decision is due."""
    async with registry.transaction(registry.registrar) as session:
        await receive_prompt(session, registry.registrar, prompt_id, registry.at)
    due_at = (await registry.step(prompt_id)).due_at
    assert due_at is not None
    return due_at


async def finish_jobs(registry: Registry) -> None:
    """As if a worker had run every job of the school."""
    done = text("DELETE FROM procrastinate_jobs WHERE args ->> 'school_id' = :school_id")
    async with registry.stage.arrange() as session:
        await session.execute(done, {"school_id": str(registry.school.id)})
