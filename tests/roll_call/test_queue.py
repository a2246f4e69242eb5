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
from backend.roll_call.verification.metrics import estimate_time_left, load_queue_metrics
from backend.roll_call.verification.queue import (
    JUDGING_FAILED,
    claim,
    enqueue_verification,
    renew,
    retry_later,
)
from backend.roll_call.verification.worker import VerificationWorker, verify_batch
from biometrics.pool import FacePool, FacePoolClosed
from tests.support.roll_call.scenario import MICROSECOND, TERMS, RollCallScenario
from tests.support.roll_call.verification import (
    SECOND,
    claim_tasks,
    load_finding,
    load_task_state,
    submit_check_ins,
)

pytestmark = pytest.mark.usefixtures("empty_queue", "plain_log")


# --- claims ---


async def test_concurrent_claim_skips_tasks_of_an_open_claim(scenario: RollCallScenario) -> None:
    _, _, submissions = await submit_check_ins(scenario, 3)
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        first = await claim(session, "one", replace(TERMS, batch=2), scenario.clock())
        second = await claim_tasks(scenario, worker="two")
    assert [lease.submission_id for lease in second] == submissions[2:]
    assert {lease.submission_id for lease in first} == set(submissions[:2])
    assert await claim_tasks(scenario) == []


async def test_each_task_is_claimed_by_exactly_one_worker(scenario: RollCallScenario) -> None:
    _, _, submissions = await submit_check_ins(scenario, 5)
    claims = await asyncio.gather(*(claim_tasks(scenario, 2, f"w{number}") for number in range(6)))
    assert sorted(lease.submission_id for batch in claims for lease in batch) == sorted(submissions)
    fences = [lease.fence for batch in claims for lease in batch]
    assert len(set(fences)) == len(fences)


async def test_batch_belongs_to_the_school_that_waits_longest(scenario: RollCallScenario) -> None:
    roll_call_id, _, submissions = await submit_check_ins(scenario, 2)
    sister = scenario.world.sister.students[0]
    async with scenario.owner_transaction() as session:
        await session.execute(
            insert(VerificationTask).values(
                submission_id=sister.id,
                roll_call_id=roll_call_id,
                school_id=sister.school_id,
                student_id=sister.id,
                state="waiting",
                attempts=0,
                enqueued_at=scenario.clock() - SECOND / 2,
                not_before=scenario.clock() - SECOND / 2,
            )
        )
    assert {lease.submission_id for lease in await claim_tasks(scenario)} == set(submissions)
    assert [lease.submission_id for lease in await claim_tasks(scenario)] == [sister.id]


async def test_enqueuing_again_does_not_change_a_task(scenario: RollCallScenario) -> None:
    _, _, [submission_id] = await submit_check_ins(scenario)
    [lease] = await claim_tasks(scenario)
    async with scenario.owner_transaction() as session:
        await enqueue_verification(session, Submission.id == submission_id, scenario.clock() + SECOND)
    assert await load_task_state(scenario, submission_id) == ("leased", 1)
    assert await verify_batch(scenario.app_context, [lease], TERMS) == 1
    assert await load_task_state(scenario, submission_id) is None


async def test_submission_with_verdict_leaves_queue_without_another(scenario: RollCallScenario) -> None:
    _, _, [submission_id] = await submit_check_ins(scenario)
    await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS)
    before = await scenario.verdict(submission_id)
    async with scenario.owner_transaction() as session:
        await enqueue_verification(session, Submission.id == submission_id, scenario.clock())
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 0
    assert await load_task_state(scenario, submission_id) is None
    assert (await scenario.verdict(submission_id)).at == before.at


@pytest.mark.clause("HN334-2.3")
async def test_student_scope_cannot_read_or_fill_the_queue(scenario: RollCallScenario) -> None:
    roll_call_id, [student], [submission_id] = await submit_check_ins(scenario)
    other = scenario.school.students[1]
    row = {
        "submission_id": other.id,
        "roll_call_id": roll_call_id,
        "school_id": other.school_id,
        "student_id": other.id,
        "state": "waiting",
        "attempts": 0,
        "enqueued_at": scenario.clock(),
        "not_before": scenario.clock(),
    }
    database = scenario.app_context.database
    async with database.transaction(student.actor.scope) as session:
        assert await session.scalar(select(func.count()).select_from(VerificationTask)) == 0
        gone = await session.execute(text("DELETE FROM verification_task RETURNING submission_id"))
        assert gone.all() == []
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.transaction(student.actor.scope) as session:
            await session.execute(insert(VerificationTask).values(row))
    assert await load_task_state(scenario, submission_id) == ("waiting", 0)


# --- leases and fences ---


@dataclass(frozen=True, slots=True)
class BlockingPool:
    """A face pool that signals when it receives a burst and waits for `go` before it answers."""

    pool: FacePool
    begun: asyncio.Event
    go: asyncio.Event

    async def verify(self, *burst: Any) -> Any:
        self.begun.set()
        await self.go.wait()
        return await self.pool.verify(*burst)


@pytest.mark.parametrize("first", ["late", "new"])
async def test_worker_without_current_lease_writes_nothing(scenario: RollCallScenario, first: str) -> None:
    roll_call_id, [student], [submission_id] = await submit_check_ins(scenario)
    blocking = BlockingPool(scenario.app_context.services[face_pool], asyncio.Event(), asyncio.Event())
    late_context = replace(
        scenario.app_context, services={**scenario.app_context.services, face_pool: blocking}
    )
    late = asyncio.create_task(verify_batch(late_context, await claim_tasks(scenario), TERMS))
    await blocking.begun.wait()
    scenario.clock.at += TERMS.lease
    [lease] = await claim_tasks(scenario, worker="two")
    assert lease.attempts == 2
    if first == "late":
        blocking.go.set()
        assert await late == 0
        assert await load_finding(scenario, submission_id) is None
        assert await load_task_state(scenario, submission_id) == ("leased", 2)
    assert await verify_batch(scenario.app_context, [lease], TERMS) == 1
    if first == "new":
        blocking.go.set()
        assert await late == 0
    entry = (await scenario.outcomes(roll_call_id))[student.student_id]
    assert (entry.outcome, entry.seq) == ("present", 1)


async def test_worker_without_current_lease_reschedules_nothing(scenario: RollCallScenario) -> None:
    _, _, [submission_id] = await submit_check_ins(scenario)
    [late] = await claim_tasks(scenario)
    scenario.clock.at += TERMS.lease
    [lease] = await claim_tasks(scenario, worker="two")
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        await retry_later(session, late, JUDGING_FAILED, TERMS, scenario.clock())
        assert await renew(session, [late], TERMS, scenario.clock()) == set()
    task = await scenario.task(submission_id)
    assert task is not None
    assert (task.state, task.fence, task.last_error) == ("leased", lease.fence, None)


async def test_renewed_lease_cannot_be_claimed(scenario: RollCallScenario) -> None:
    _, _, [submission_id] = await submit_check_ins(scenario)
    leases = await claim_tasks(scenario)
    scenario.clock.at += TERMS.lease - MICROSECOND
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        assert await renew(session, leases, TERMS, scenario.clock()) == {submission_id}
    scenario.clock.at += TERMS.lease - MICROSECOND
    assert await claim_tasks(scenario) == []
    scenario.clock.at += MICROSECOND
    assert [lease.submission_id for lease in await claim_tasks(scenario)] == [submission_id]


async def test_task_of_lost_worker_is_claimed_alone_and_finally_dead(scenario: RollCallScenario) -> None:
    _, _, submissions = await submit_check_ins(scenario, 3)
    assert len(await claim_tasks(scenario)) == 3
    for attempt in range(1, TERMS.attempts):
        scenario.clock.at += TERMS.lease
        alone = [await claim_tasks(scenario) for _ in submissions]
        assert [[lease.attempts for lease in batch] for batch in alone] == [[attempt + 1]] * 3
    scenario.clock.at += TERMS.lease
    assert await claim_tasks(scenario) == []
    task = await scenario.task(submissions[0])
    assert task is not None
    assert (task.state, task.last_error, task.died_at) == ("dead", "worker_lost", scenario.clock())


async def test_stopping_worker_releases_unfinished_tasks(scenario: RollCallScenario) -> None:
    _, _, [submission_id] = await submit_check_ins(scenario)
    blocking = BlockingPool(scenario.app_context.services[face_pool], asyncio.Event(), asyncio.Event())
    scenario.app_context.services[face_pool] = blocking
    working = asyncio.create_task(VerificationWorker(scenario.app_context, TERMS).run_batch())
    await blocking.begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await load_task_state(scenario, submission_id) == ("waiting", 0)


async def test_closed_face_pool_counts_no_attempt(scenario: RollCallScenario) -> None:
    _, _, [submission_id] = await submit_check_ins(scenario)

    class Closed:
        async def verify(self, *_: Any) -> Any:
            raise FacePoolClosed

    scenario.app_context.services[face_pool] = Closed()
    assert await verify_batch(scenario.app_context, await claim_tasks(scenario), TERMS) == 0
    assert await load_finding(scenario, submission_id) is None
    assert await load_task_state(scenario, submission_id) == ("waiting", 0)


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


async def test_worker_verifies_waiting_tasks_and_records_throughput(scenario: RollCallScenario) -> None:
    roll_call_id, _, submissions = await submit_check_ins(scenario, 3)
    worker = VerificationWorker(scenario.app_context, replace(TERMS, batch=2))
    scenario.clock.at += SECOND
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        before = await load_queue_metrics(session, roll_call_id, scenario.clock())
    assert (before.waiting, before.leased, before.dead, before.time_left) == (3, 0, 0, None)
    assert before.oldest == 3 * SECOND
    assert [await worker.run_batch() for _ in range(3)] == [True, True, False]
    assert [await load_finding(scenario, each) for each in submissions] == ["accepted"] * 3
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        after = await load_queue_metrics(session, roll_call_id, scenario.clock())
    assert (after.waiting, after.leased, after.oldest, after.judged_last_minute) == (0, 0, None, 3)
    assert after.time_left == timedelta(0)


async def test_worker_runs_until_it_is_stopped(scenario: RollCallScenario) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(VerificationWorker(scenario.app_context, TERMS).run(stop))
    _, _, submissions = await submit_check_ins(scenario, 2)
    while any([await scenario.task(each) is not None for each in submissions]):
        assert not running.done()
    stop.set()
    await running
    assert [await load_finding(scenario, each) for each in submissions] == ["accepted"] * 2


async def test_unreachable_database_does_not_end_the_worker(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, stop = VerificationWorker(scenario.app_context, TERMS), asyncio.Event()
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
