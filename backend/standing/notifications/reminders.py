"""Remind registrars of undecided prompts, on the working days that the policy names."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.clock import legal_day
from backend.standing.engine.prompts import PromptState
from backend.standing.notifications.prompts import notify_prompt_reminder
from backend.standing.store import tables


async def remind_registrars(session: AsyncSession, school_id: UUID, at: datetime) -> int:
    """Send today's reminders of the school's undecided prompts, each once; returns how many were sent.

    A job that runs a day late sends only the reminders of the day on which it runs, not those it missed.
    """
    sent = 0
    for prompt_id, working_day in await _load_due_reminders(session, school_id, legal_day(at)):
        row = {"prompt_id": prompt_id, "working_day": working_day, "school_id": school_id, "at": at}
        statement = insert(tables.PromptReminder).values(row).on_conflict_do_nothing()
        if await session.scalar(statement.returning(tables.PromptReminder.prompt_id)) is not None:
            await notify_prompt_reminder(session, prompt_id, at)
            sent += 1
    return sent


async def _load_due_reminders(session: AsyncSession, school_id: UUID, today: date) -> list[tuple[UUID, int]]:
    """Prompt and working day of every reminder that the stored assessments schedule for today."""
    assessments = await session.stream_scalars(
        select(tables.StudentStanding.assessment)
        .where(
            tables.StudentStanding.school_id == school_id,
            tables.StudentStanding.assessment["prompts"].contains([{"state": PromptState.RUNNING.value}]),
        )
        .execution_options(yield_per=100)
    )
    return [
        (UUID(prompt["prompt_id"]), reminder["working_day"])
        async for assessment in assessments
        for prompt in _prompts_awaiting_registrar(assessment)
        for reminder in prompt["deadline"]["reminders"]
        if reminder["on"] == today.isoformat()
    ]


def _prompts_awaiting_registrar(assessment: dict[str, Any]) -> list[dict[str, Any]]:
    """Prompts that the registrar must decide: delivered, open and without a pending dismissal."""
    return [
        prompt
        for prompt in assessment["prompts"]
        if prompt["state"] == PromptState.RUNNING.value and prompt["deadline"] is not None
    ]
