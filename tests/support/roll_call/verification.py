"""Complete check-ins that wait for verification, and what became of them."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from backend.core.tenancy import Scope
from backend.roll_call.tables import Verdict
from backend.roll_call.verification.queue import Lease, claim
from tests.support.roll_call.scenario import TERMS, Stage
from tests.support.roll_call.student_phone import Candidate

SECOND = timedelta(seconds=1)


async def sent(stage: Stage, count: int = 1) -> tuple[UUID, list[Candidate], list[UUID]]:
    """A roll call, some students of the school, and a complete check-in of each, a second apart."""
    launched = await stage.launch()
    candidates = [await stage.activate(pupil) for pupil in stage.school.students[:count]]
    submissions = []
    for candidate in candidates:
        stage.clock.at += SECOND
        submissions.append(await stage.check_in(candidate, launched.roll_call.id))
    return launched.roll_call.id, candidates, submissions


async def claimed(stage: Stage, batch: int = TERMS.batch, worker: str = "one") -> list[Lease]:
    async with stage.app_context.database.transaction(Scope.none()) as session:
        return await claim(session, worker, replace(TERMS, batch=batch), stage.clock())


async def state(stage: Stage, submission_id: UUID) -> tuple[str, int] | None:
    task = await stage.task(submission_id)
    return (task.state, task.attempts) if task else None


async def judged(stage: Stage, submission_id: UUID) -> str | None:
    async with stage.arrange() as session:
        verdict: Verdict | None = await session.get(Verdict, submission_id)
    return verdict.finding if verdict else None
