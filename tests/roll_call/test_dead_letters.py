"""Failing submissions: others are unaffected, they are retried, and finally become dead letters without a miss."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from backend.core.tables import AuditEntry
from backend.identity.face.pool import face_pool
from backend.roll_call.outcomes import write_outcome
from backend.roll_call.tables import RollCall, Submission
from backend.roll_call.verification import record, worker
from backend.roll_call.verification.dead_letters import retry_dead_letter
from backend.roll_call.verification.inputs import load_inputs
from backend.roll_call.verification.queue import release
from backend.roll_call.verification.worker import verify_batch
from biometrics.pool import FacePool
from biometrics.tasks import Shot
from tests.support.pictures import read_picture
from tests.support.roll_call.scenario import GRACE, MICROSECOND, TERMS, RollCallScenario
from tests.support.roll_call.verification import (
    SECOND,
    claim_tasks,
    load_finding,
    load_task_state,
    submit_check_ins,
)

pytestmark = pytest.mark.usefixtures("empty_queue", "plain_log")


@dataclass(frozen=True, slots=True)
class FailingPool:
    """A face pool that raises an unexpected error for the burst of one person."""

    pool: FacePool
    frame: bytes

    async def verify(self, burst: Sequence[Shot], *rest: Any) -> Any:
        if any(shot.data == self.frame for shot in burst):
            msg = "unexpected error"
            raise RuntimeError(msg)
        return await self.pool.verify(burst, *rest)


async def make_pool_fail_for(scenario: RollCallScenario, submission_id: UUID) -> FacePool:
    """Make the face pool fail for this submission; returns the working pool."""
    pool: FacePool = scenario.app_context.services[face_pool]
    async with scenario.owner_transaction() as session:
        submission = await session.get_one(Submission, submission_id)
    frame = await read_picture(scenario.app_context, submission.frame(0))
    scenario.app_context.services[face_pool] = FailingPool(pool, frame)
    return pool


async def test_failing_submission_becomes_dead_letter_and_others_pass(scenario: RollCallScenario) -> None:
    _, _, submissions = await submit_check_ins(scenario, 3)
    await make_pool_fail_for(scenario, submissions[1])
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 2
    assert [await load_finding(scenario, each) for each in submissions] == ["accepted", None, "accepted"]
    task = await scenario.task(submissions[1])
    assert task is not None
    assert (task.state, task.last_error, task.not_before) == (
        "waiting",
        "judging_failed",
        scenario.clock() + 2 * SECOND,
    )
    for wait in (2, 4):
        assert await claim_tasks(scenario) == []
        scenario.clock.at += wait * SECOND
        assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 0
    assert await load_task_state(scenario, submissions[1]) == ("dead", TERMS.attempts)
    scenario.clock.at += timedelta(days=1)
    assert await claim_tasks(scenario) == []


async def test_recording_failure_affects_only_its_submission(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_call_id, students, submissions = await submit_check_ins(scenario, 3)
    write = write_outcome

    async def failing(session: Any, roll_call: Any, obligation: Any, *rest: Any, **named: Any) -> bool:
        if obligation.student_id == students[1].student_id:
            await session.execute(text("SELECT 1 / 0"))
        return await write(session, roll_call, obligation, *rest, **named)

    monkeypatch.setattr(record, "write_outcome", failing)
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 2
    assert set(await scenario.outcomes(roll_call_id)) == {students[0].student_id, students[2].student_id}
    assert await load_finding(scenario, submissions[1]) is None
    monkeypatch.undo()
    scenario.clock.at += 2 * SECOND
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 1
    assert await load_task_state(scenario, submissions[1]) is None


async def test_reading_failure_affects_only_its_submission(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await submit_check_ins(scenario, 3)
    read = load_inputs

    async def failing(session: Any, app_context: Any, school_id: UUID, submission_ids: Sequence[UUID]) -> Any:
        if submissions[1] in submission_ids:
            raise LookupError
        return await read(session, app_context, school_id, submission_ids)

    monkeypatch.setattr(worker, "load_inputs", failing)
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 2
    task = await scenario.task(submissions[1])
    assert task is not None
    assert task.last_error == "reading_failed"


def lost_connection() -> OperationalError:
    """The error that SQLAlchemy raises for a lost connection."""
    return OperationalError(
        "SELECT 1", {}, psycopg.OperationalError("server closed the connection unexpectedly")
    )


@pytest.mark.parametrize("part", ["load_inputs", "record_verdicts"])
async def test_unreachable_database_counts_no_attempt(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    _, _, submissions = await submit_check_ins(scenario, 2)

    async def cut_off(*_arguments: Any) -> Any:
        raise lost_connection()

    monkeypatch.setattr(worker, part, cut_off)
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 0
    for each in submissions:
        task = await scenario.task(each)
        assert task is not None
        assert (task.state, task.attempts, task.last_error) == ("waiting", 0, None)
    monkeypatch.undo()
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 2


async def test_interrupted_tasks_are_released_when_database_returns(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await submit_check_ins(scenario, 1)
    release_tasks, calls = release, 0

    async def cut_off(*_arguments: Any) -> Any:
        raise lost_connection()

    async def fail_twice(session: Any, leases: Any) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise lost_connection()
        await release_tasks(session, leases)

    monkeypatch.setattr(worker, "load_inputs", cut_off)
    monkeypatch.setattr(worker, "release", fail_twice)
    monkeypatch.setattr(worker, "DATABASE_RETRY_SECONDS", 0.0)
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 0
    assert calls == 3
    assert await load_task_state(scenario, submissions[0]) == ("waiting", 0)


async def test_failing_statement_counts_as_an_attempt(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await submit_check_ins(scenario, 1)

    async def fail(*_arguments: Any) -> Any:
        raise OperationalError("SELECT 1", {}, psycopg.errors.ProgramLimitExceeded())

    monkeypatch.setattr(worker, "load_inputs", fail)
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 0
    task = await scenario.task(submissions[0])
    assert task is not None
    assert (task.attempts, task.last_error) == (1, "reading_failed")


@pytest.mark.clause("HN334-3.4")
async def test_dead_letter_is_no_miss_and_retry_makes_student_present(scenario: RollCallScenario) -> None:
    roll_call_id, [student], [submission_id] = await submit_check_ins(scenario)
    working_pool = await make_pool_fail_for(scenario, submission_id)
    for wait in (0, 2, 4):
        scenario.clock.at += wait * SECOND
        await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS)
    async with scenario.owner_transaction() as session:
        roll_call = await session.get_one(RollCall, roll_call_id)
    scenario.clock.at = roll_call.closes_at + SECOND
    assert (await scenario.settle(roll_call)).waiting_for == 1
    assert await load_task_state(scenario, submission_id) == ("dead", TERMS.attempts)
    scenario.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    assert (await scenario.settle(roll_call)).figures["undetermined"] == 1
    scenario.app_context.services[face_pool] = working_pool
    bureau = scenario.bureau
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        await retry_dead_letter(session, bureau, submission_id, scenario.clock())
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 1
    assert await scenario.outcome(roll_call_id, student) == ("present", "verified")
    async with scenario.owner_transaction() as session:
        retried = select(AuditEntry.acting_account).where(
            AuditEntry.action == "verification.retry", AuditEntry.subject_id == str(submission_id)
        )
        assert (await session.scalars(retried)).all() == [bureau.account_id]
