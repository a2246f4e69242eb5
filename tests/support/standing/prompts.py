"""Raise a prompt for a student and confirm its receipt."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from backend.standing.prompts.deliveries import receive_prompt
from backend.standing.store.tables import PromptRecord
from tests.support.province import SampleStudent
from tests.support.standing.scenario import StandingScenario


async def raise_prompt(scenario: StandingScenario, pupil: SampleStudent | None = None) -> UUID:
    """Let everyone miss two roll calls and save this student's prompt; returns its id."""
    await scenario.misses(2)
    await scenario.recompute(pupil)
    return await load_prompt_id(scenario, pupil)


async def load_prompt_id(scenario: StandingScenario, pupil: SampleStudent | None = None) -> UUID:
    """The id of the student's only prompt."""
    [prompt] = await scenario.rows(PromptRecord, pupil)
    prompt_id: UUID = prompt.id
    return prompt_id


async def confirm_receipt(scenario: StandingScenario, prompt_id: UUID) -> datetime:
    """Confirm the receipt as the registrar; returns the deadline."""
    async with scenario.transaction(scenario.registrar) as session:
        await receive_prompt(session, scenario.registrar, prompt_id, scenario.at)
    due_at = (await scenario.step(prompt_id)).due_at
    assert due_at is not None
    return due_at


async def delete_jobs(scenario: StandingScenario) -> None:
    """Delete the school's queued jobs, as if a worker had run them."""
    delete = text("DELETE FROM procrastinate_jobs WHERE args ->> 'school_id' = :school_id")
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(delete, {"school_id": str(scenario.school.id)})
