"""Helpers for tests of verification: submit complete check-ins, claim tasks, read their state."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from backend.core.tenancy import Scope
from backend.roll_call.tables import VerdictRecord
from backend.roll_call.verification.queue import Lease, claim
from tests.support.roll_call.scenario import TERMS, RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone

SECOND = timedelta(seconds=1)


async def submit_check_ins(
    scenario: RollCallScenario, count: int = 1
) -> tuple[UUID, list[StudentWithPhone], list[UUID]]:
    """Launch a roll call and submit a complete check-in of `count` students of the school, a second apart."""
    launched = await scenario.launch()
    students = [await scenario.activate(pupil) for pupil in scenario.school.students[:count]]
    submissions = []
    for student in students:
        scenario.clock.at += SECOND
        submissions.append(await scenario.check_in(student, launched.roll_call.id))
    return launched.roll_call.id, students, submissions


async def claim_tasks(
    scenario: RollCallScenario, batch: int = TERMS.batch, worker: str = "one"
) -> list[Lease]:
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        return await claim(session, worker, replace(TERMS, batch=batch), scenario.clock())


async def load_task_state(scenario: RollCallScenario, submission_id: UUID) -> tuple[str, int] | None:
    """State and attempts of the task, or None if the submission is not in the queue."""
    task = await scenario.task(submission_id)
    return (task.state, task.attempts) if task else None


async def load_finding(scenario: RollCallScenario, submission_id: UUID) -> str | None:
    async with scenario.owner_transaction() as session:
        verdict: VerdictRecord | None = await session.get(VerdictRecord, submission_id)
    return verdict.finding if verdict else None
