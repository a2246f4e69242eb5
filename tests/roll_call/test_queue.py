"""The verification queue: exclusive claims, expired leases, and fences against late workers."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import ProgrammingError

from backend.core.tenancy import Scope
from backend.identity.face.pool import face_pool
from backend.roll_call.tables import Submission, VerificationTask
from backend.roll_call.verification.metrics import estimate_time_left, queue_metrics
from backend.roll_call.verification.queue import (
    JUDGING_FAILED,
    claim,
    enqueue_verification,
    renew,
    retry_later,
)
from backend.roll_call.verification.worker import VerificationWorker, verify_batch
from biometrics.pool import FacePool, FacePoolClosed
from tests.support.roll_call.scenario import MICROSECOND, TERMS, Stage
from tests.support.roll_call.verification import (
    SECOND,
    claim_tasks,
    load_finding,
    load_task_state,
    submit_check_ins,
)

pytestmark = pytest.mark.usefixtures("empty_queue", "plain_log")


# --- claims ---


async def test_concurrent_claim_skips_tasks_of_an_open_claim(stage: Stage) -> None:
    _, _, submissions = await submit_check_ins(stage, 3)
    async with stage.app_context.database.transaction(Scope.none()) as session:
        first = await claim(session, "one", replace(TERMS, batch=2), stage.clock())
        second = await claim_tasks(stage, worker="two")
    assert [lease.submission_id for lease in second] == submissions[2:]
    assert {lease.submission_id for lease in first} == set(submissions[:2])
    assert await claim_tasks(stage) == []


async def test_each_task_is_claimed_by_exactly_one_worker(stage: Stage) -> None:
    _, _, submissions = await submit_check_ins(stage, 5)
    claims = await asyncio.gather(*(claim_tasks(stage, 2, f"w{number}") for number in range(6)))
    assert sorted(lease.submission_id for batch in claims for lease in batch) == sorted(submissions)
    fences = [lease.fence for batch in claims for lease in batch]
    assert len(set(fences)) == len(fences)


async def test_batch_belongs_to_the_school_that_waits_longest(stage: Stage) -> None:
    roll_call_id, _, submissions = await submit_check_ins(stage, 2)
    sister = stage.world.sister.students[0]
    async with stage.arrange() as session:
        await session.execute(
            insert(VerificationTask).values(
                submission_id=sister.id,
                roll_call_id=roll_call_id,
                school_id=sister.school_id,
                student_id=sister.id,
                state="waiting",
                attempts=0,
                enqueued_at=stage.clock() - SECOND / 2,
                not_before=stage.clock() - SECOND / 2,
            )
        )
    assert {lease.submission_id for lease in await claim_tasks(stage)} == set(submissions)
    assert [lease.submission_id for lease in await claim_tasks(stage)] == [sister.id]


async def test_enqueuing_again_does_not_change_a_task(stage: Stage) -> None:
    _, _, [submission_id] = await submit_check_ins(stage)
    [lease] = await claim_tasks(stage)
    async with stage.arrange() as session:
        await enqueue_verification(session, Submission.id == submission_id, stage.clock() + SECOND)
    assert await load_task_state(stage, submission_id) == ("leased", 1)
    assert await verify_batch(stage.app_context, [lease], TERMS) == 1
    assert await load_task_state(stage, submission_id) is None


async def test_submission_with_verdict_leaves_queue_without_another(stage: Stage) -> None:
    _, _, [submission_id] = await submit_check_ins(stage)
    await verify_batch(stage.app_context, await claim_tasks(stage), TERMS)
    before = await stage.verdict(submission_id)
    async with stage.arrange() as session:
        await enqueue_verification(session, Submission.id == submission_id, stage.clock())
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 0
    assert await load_task_state(stage, submission_id) is None
    assert (await stage.verdict(submission_id)).at == before.at


@pytest.mark.clause("HN334-2.3")
async def test_student_scope_cannot_read_or_fill_the_queue(stage: Stage) -> None:
    roll_call_id, [candidate], [submission_id] = await submit_check_ins(stage)
    other = stage.school.students[1]
    row = {
        "submission_id": other.id,
        "roll_call_id": roll_call_id,
        "school_id": other.school_id,
        "student_id": other.id,
        "state": "waiting",
        "attempts": 0,
        "enqueued_at": stage.clock(),
        "not_before": stage.clock(),
    }
    database = stage.app_context.database
    async with database.transaction(candidate.actor.scope) as session:
        assert await session.scalar(select(func.count()).select_from(VerificationTask)) == 0
        gone = await session.execute(text("DELETE FROM verification_task RETURNING submission_id"))
        assert gone.all() == []
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.transaction(candidate.actor.scope) as session:
            await session.execute(insert(VerificationTask).values(row))
    assert await load_task_state(stage, submission_id) == ("waiting", 0)


# --- leases and fences ---


@dataclass(frozen=True, slots=True)
class BlockingPool:
    """A face pool that signals when it receives a burst and waits for `go` before it answers."""

    pool: FacePool
    begun: asyncio.Event
    go: asyncio.Event

    async def judge(self, *burst: Any) -> Any:
        self.begun.set()
        await self.go.wait()
        return await self.pool.judge(*burst)


@pytest.mark.parametrize("first", ["late", "new"])
async def test_worker_without_current_lease_writes_nothing(stage: Stage, first: str) -> None:
    roll_call_id, [candidate], [submission_id] = await submit_check_ins(stage)
    blocking = BlockingPool(stage.app_context.services[face_pool], asyncio.Event(), asyncio.Event())
    late_context = replace(stage.app_context, services={**stage.app_context.services, face_pool: blocking})
    late = asyncio.create_task(verify_batch(late_context, await claim_tasks(stage), TERMS))
    await blocking.begun.wait()
    stage.clock.at += TERMS.lease
    [lease] = await claim_tasks(stage, worker="two")
    assert lease.attempts == 2
    if first == "late":
        blocking.go.set()
        assert await late == 0
        assert await load_finding(stage, submission_id) is None
        assert await load_task_state(stage, submission_id) == ("leased", 2)
    assert await verify_batch(stage.app_context, [lease], TERMS) == 1
    if first == "new":
        blocking.go.set()
        assert await late == 0
    entry = (await stage.outcomes(roll_call_id))[candidate.student_id]
    assert (entry.outcome, entry.seq) == ("present", 1)


async def test_worker_without_current_lease_reschedules_nothing(stage: Stage) -> None:
    _, _, [submission_id] = await submit_check_ins(stage)
    [late] = await claim_tasks(stage)
    stage.clock.at += TERMS.lease
    [lease] = await claim_tasks(stage, worker="two")
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        await retry_later(session, late, JUDGING_FAILED, TERMS, stage.clock())
        assert await renew(session, [late], TERMS, stage.clock()) == set()
    task = await stage.task(submission_id)
    assert task is not None
    assert (task.state, task.fence, task.last_error) == ("leased", lease.fence, None)


async def test_renewed_lease_cannot_be_claimed(stage: Stage) -> None:
    _, _, [submission_id] = await submit_check_ins(stage)
    leases = await claim_tasks(stage)
    stage.clock.at += TERMS.lease - MICROSECOND
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        assert await renew(session, leases, TERMS, stage.clock()) == {submission_id}
    stage.clock.at += TERMS.lease - MICROSECOND
    assert await claim_tasks(stage) == []
    stage.clock.at += MICROSECOND
    assert [lease.submission_id for lease in await claim_tasks(stage)] == [submission_id]


async def test_task_of_lost_worker_is_claimed_alone_and_finally_dead(stage: Stage) -> None:
    _, _, submissions = await submit_check_ins(stage, 3)
    assert len(await claim_tasks(stage)) == 3
    for attempt in range(1, TERMS.attempts):
        stage.clock.at += TERMS.lease
        alone = [await claim_tasks(stage) for _ in submissions]
        assert [[lease.attempts for lease in batch] for batch in alone] == [[attempt + 1]] * 3
    stage.clock.at += TERMS.lease
    assert await claim_tasks(stage) == []
    task = await stage.task(submissions[0])
    assert task is not None
    assert (task.state, task.last_error, task.died_at) == ("dead", "worker_lost", stage.clock())


async def test_stopping_worker_releases_unfinished_tasks(stage: Stage) -> None:
    _, _, [submission_id] = await submit_check_ins(stage)
    blocking = BlockingPool(stage.app_context.services[face_pool], asyncio.Event(), asyncio.Event())
    stage.app_context.services[face_pool] = blocking
    working = asyncio.create_task(VerificationWorker(stage.app_context, TERMS).run_batch())
    await blocking.begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await load_task_state(stage, submission_id) == ("waiting", 0)


async def test_closed_face_pool_counts_no_attempt(stage: Stage) -> None:
    _, _, [submission_id] = await submit_check_ins(stage)

    class Closed:
        async def judge(self, *_: Any) -> Any:
            raise FacePoolClosed

    stage.app_context.services[face_pool] = Closed()
    assert await verify_batch(stage.app_context, await claim_tasks(stage), TERMS) == 0
    assert await load_finding(stage, submission_id) is None
    assert await load_task_state(stage, submission_id) == ("waiting", 0)


# --- metrics and the worker loop ---


@dataclass(frozen=True, slots=True)
class WorkerThroughput:
    worker: str
    judged: int
    busy_seconds: float


@pytest.mark.parametrize(
    ("unfinished", "throughputs", "seconds"),
    [
        (0, [], 0),
        (10, [], None),
        (10, [WorkerThroughput("one", 0, 3.0)], None),
        (100, [WorkerThroughput("one", 20, 2.0)], 10),
        (100, [WorkerThroughput("one", 20, 2.0), WorkerThroughput("one", 20, 2.0)], 10),
        (100, [WorkerThroughput("one", 20, 2.0), WorkerThroughput("two", 300, 30.0)], 5),
        (1, [WorkerThroughput("one", 20, 2.0)], 1),
    ],
)
def test_time_left_is_estimated_from_busy_throughput(
    unfinished: int, throughputs: list[WorkerThroughput], seconds: int | None
) -> None:
    assert estimate_time_left(unfinished, throughputs) == (
        None if seconds is None else timedelta(seconds=seconds)
    )


async def test_worker_verifies_waiting_tasks_and_records_throughput(stage: Stage) -> None:
    roll_call_id, _, submissions = await submit_check_ins(stage, 3)
    worker = VerificationWorker(stage.app_context, replace(TERMS, batch=2))
    stage.clock.at += SECOND
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        before = await queue_metrics(session, roll_call_id, stage.clock())
    assert (before.waiting, before.leased, before.dead, before.left) == (3, 0, 0, None)
    assert before.oldest == 3 * SECOND
    assert [await worker.run_batch() for _ in range(3)] == [True, True, False]
    assert [await load_finding(stage, each) for each in submissions] == ["accepted"] * 3
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        after = await queue_metrics(session, roll_call_id, stage.clock())
    assert (after.waiting, after.leased, after.oldest, after.judged_last_minute) == (0, 0, None, 3)
    assert after.left == timedelta(0)


async def test_worker_runs_until_it_is_stopped(stage: Stage) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(VerificationWorker(stage.app_context, TERMS).run(stop))
    _, _, submissions = await submit_check_ins(stage, 2)
    while any([await stage.task(each) is not None for each in submissions]):
        assert not running.done()
    stop.set()
    await running
    assert [await load_finding(stage, each) for each in submissions] == ["accepted"] * 2


async def test_unreachable_database_does_not_end_the_worker(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, stop = VerificationWorker(stage.app_context, TERMS), asyncio.Event()
    polls = 0

    async def lose_connection() -> bool:
        nonlocal polls
        polls += 1
        if polls > 2:
            stop.set()
        raise ConnectionError

    monkeypatch.setattr("backend.roll_call.verification.worker.AFTER_FAILURE_SECONDS", 0.0)
    monkeypatch.setattr(worker, "run_batch", lose_connection)
    await worker.run(stop)
    assert polls > 2
