"""Helpers for tests of verification: submit complete check-ins, claim tasks, read their state."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from backend.core.tenancy import Scope
from backend.roll_call.tables import Verdict
from backend.roll_call.verification.queue import Lease, claim
from tests.support.roll_call.scenario import TERMS, Stage
from tests.support.roll_call.student_phone import Candidate

SECOND = timedelta(seconds=1)


async def submit_check_ins(stage: Stage, count: int = 1) -> tuple[UUID, list[Candidate], list[UUID]]:
    """Launch a roll call and submit a complete check-in of `count` students of the school, a second apart."""
    launched = await stage.launch()
    candidates = [await stage.activate(pupil) for pupil in stage.school.students[:count]]
    submissions = []
    for candidate in candidates:
        stage.clock.at += SECOND
        submissions.append(await stage.check_in(candidate, launched.roll_call.id))
    return launched.roll_call.id, candidates, submissions


async def claim_tasks(stage: Stage, batch: int = TERMS.batch, worker: str = "one") -> list[Lease]:
    async with stage.app_context.database.transaction(Scope.none()) as session:
        return await claim(session, worker, replace(TERMS, batch=batch), stage.clock())


async def load_task_state(stage: Stage, submission_id: UUID) -> tuple[str, int] | None:
    """State and attempts of the task, or None if the submission is not in the queue."""
    task = await stage.task(submission_id)
    return (task.state, task.attempts) if task else None


async def load_finding(stage: Stage, submission_id: UUID) -> str | None:
    async with stage.arrange() as session:
        verdict: Verdict | None = await session.get(Verdict, submission_id)
    return verdict.finding if verdict else None
