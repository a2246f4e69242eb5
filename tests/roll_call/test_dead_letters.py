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
from backend.roll_call.verification.dead_letters import retry
from backend.roll_call.verification.inputs import load_inputs
from backend.roll_call.verification.queue import release
from backend.roll_call.verification.worker import verify_batch
from biometrics.checks import Shot
from biometrics.pool import FacePool
from tests.support.roll_call.scenario import GRACE, MICROSECOND, TERMS, Stage
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

    async def judge(self, burst: Sequence[Shot], *rest: Any) -> Any:
        if any(shot.data == self.frame for shot in burst):
            msg = "unexpected error"
            raise RuntimeError(msg)
        return await self.pool.judge(burst, *rest)


async def make_pool_fail_for(stage: Stage, submission_id: UUID) -> FacePool:
    """Make the face pool fail for this submission; returns the working pool."""
    pool: FacePool = stage.app_context.services[face_pool]
    async with stage.arrange() as session:
        submission = await session.get_one(Submission, submission_id)
    frame = await stage.app_context.evidence.get(submission.frame_key(0))
    stage.app_context.services[face_pool] = FailingPool(pool, frame)
    return pool


async def test_failing_submission_becomes_dead_letter_and_others_pass(stage: Stage) -> None:
    _, _, submissions = await submit_check_ins(stage, 3)
    await make_pool_fail_for(stage, submissions[1])
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 2
    assert [await load_finding(stage, each) for each in submissions] == ["accepted", None, "accepted"]
    task = await stage.task(submissions[1])
    assert task is not None
    assert (task.state, task.last_error, task.not_before) == (
        "waiting",
        "judging_failed",
        stage.clock() + 2 * SECOND,
    )
    for wait in (2, 4):
        assert await claim_tasks(stage) == []
        stage.clock.at += wait * SECOND
        assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 0
    assert await load_task_state(stage, submissions[1]) == ("dead", TERMS.attempts)
    stage.clock.at += timedelta(days=1)
    assert await claim_tasks(stage) == []


async def test_recording_failure_affects_only_its_submission(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_call_id, candidates, submissions = await submit_check_ins(stage, 3)
    write = write_outcome

    async def failing(session: Any, roll_call: Any, obligation: Any, *rest: Any, **named: Any) -> bool:
        if obligation.student_id == candidates[1].student_id:
            await session.execute(text("SELECT 1 / 0"))
        return await write(session, roll_call, obligation, *rest, **named)

    monkeypatch.setattr(record, "write_outcome", failing)
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 2
    assert set(await stage.outcomes(roll_call_id)) == {candidates[0].student_id, candidates[2].student_id}
    assert await load_finding(stage, submissions[1]) is None
    monkeypatch.undo()
    stage.clock.at += 2 * SECOND
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 1
    assert await load_task_state(stage, submissions[1]) is None


async def test_reading_failure_affects_only_its_submission(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await submit_check_ins(stage, 3)
    read = load_inputs

    async def failing(session: Any, app_context: Any, school_id: UUID, submission_ids: Sequence[UUID]) -> Any:
        if submissions[1] in submission_ids:
            raise LookupError
        return await read(session, app_context, school_id, submission_ids)

    monkeypatch.setattr(worker, "load_inputs", failing)
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 2
    task = await stage.task(submissions[1])
    assert task is not None
    assert task.last_error == "reading_failed"


def lost_connection() -> OperationalError:
    """The error that SQLAlchemy raises for a lost connection."""
    return OperationalError(
        "SELECT 1", {}, psycopg.OperationalError("server closed the connection unexpectedly")
    )


@pytest.mark.parametrize("part", ["load_inputs", "record_verdicts"])
async def test_unreachable_database_counts_no_attempt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    _, _, submissions = await submit_check_ins(stage, 2)

    async def cut_off(*_arguments: Any) -> Any:
        raise lost_connection()

    monkeypatch.setattr(worker, part, cut_off)
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 0
    for each in submissions:
        task = await stage.task(each)
        assert task is not None
        assert (task.state, task.attempts, task.last_error) == ("waiting", 0, None)
    monkeypatch.undo()
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 2


async def test_interrupted_tasks_are_released_when_database_returns(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await submit_check_ins(stage, 1)
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
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 0
    assert calls == 3
    assert await load_task_state(stage, submissions[0]) == ("waiting", 0)


async def test_failing_statement_counts_as_an_attempt(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, submissions = await submit_check_ins(stage, 1)

    async def fail(*_arguments: Any) -> Any:
        raise OperationalError("SELECT 1", {}, psycopg.errors.ProgramLimitExceeded())

    monkeypatch.setattr(worker, "load_inputs", fail)
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 0
    task = await stage.task(submissions[0])
    assert task is not None
    assert (task.attempts, task.last_error) == (1, "reading_failed")


@pytest.mark.clause("HN334-3.4")
async def test_dead_letter_is_no_miss_and_retry_makes_student_present(stage: Stage) -> None:
    roll_call_id, [candidate], [submission_id] = await submit_check_ins(stage)
    working_pool = await make_pool_fail_for(stage, submission_id)
    for wait in (0, 2, 4):
        stage.clock.at += wait * SECOND
        await verify_batch(stage.app_context, await claim_tasks(stage), TERMS)
    async with stage.arrange() as session:
        roll_call = await session.get_one(RollCall, roll_call_id)
    stage.clock.at = roll_call.closes_at + SECOND
    assert (await stage.settle(roll_call)).waiting_for == 1
    assert await load_task_state(stage, submission_id) == ("dead", TERMS.attempts)
    stage.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    assert (await stage.settle(roll_call)).figures["undetermined"] == 1
    stage.app_context.services[face_pool] = working_pool
    bureau = stage.bureau
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await retry(session, bureau, submission_id, stage.clock())
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 1
    assert await stage.outcome(roll_call_id, candidate) == ("present", "verified")
    async with stage.arrange() as session:
        retried = select(AuditEntry.acting_account).where(
            AuditEntry.action == "verification.retry", AuditEntry.subject_id == str(submission_id)
        )
        assert (await session.scalars(retried)).all() == [bureau.account_id]
