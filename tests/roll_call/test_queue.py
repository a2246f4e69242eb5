"""The queue of verification: lent out once, taken back from whoever is silent, and nothing written by a late worker."""

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
from backend.roll_call.verification import service as verification
from backend.roll_call.verification.metrics import queue_metrics, time_left
from backend.roll_call.verification.queue import claim, enqueue_verification, renew, retry_later
from backend.roll_call.verification.service import verify_batch
from backend.roll_call.verification.worker import VerificationWorker
from biometrics.pool import FacePool, FacePoolClosed
from tests.support.roll_call.scenario import MICROSECOND, TERMS, Stage
from tests.support.roll_call.verification import SECOND, claimed, judged, sent, state

pytestmark = pytest.mark.usefixtures("empty_queue", "plain_log")


# --- who gets what ---


async def test_what_one_worker_is_taking_another_does_not_wait_for_and_does_not_get(stage: Stage) -> None:
    _, _, submissions = await sent(stage, 3)
    async with stage.app_context.database.transaction(Scope.none()) as session:
        first = await claim(session, "one", replace(TERMS, batch=2), stage.clock())
        second = await claimed(stage, worker="two")
    assert [lease.submission_id for lease in second] == submissions[2:]
    assert {lease.submission_id for lease in first} == set(submissions[:2])
    assert await claimed(stage) == []


async def test_however_many_claim_at_once_each_submission_is_lent_to_one(stage: Stage) -> None:
    _, _, submissions = await sent(stage, 5)
    taken = await asyncio.gather(*(claimed(stage, 2, f"w{number}") for number in range(6)))
    assert sorted(lease.submission_id for batch in taken for lease in batch) == sorted(submissions)
    fences = [lease.fence for batch in taken for lease in batch]
    assert len(set(fences)) == len(fences)


async def test_a_batch_is_of_the_school_that_waits_longest(stage: Stage) -> None:
    roll_call_id, _, submissions = await sent(stage, 2)
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
    assert {lease.submission_id for lease in await claimed(stage)} == set(submissions)
    assert [lease.submission_id for lease in await claimed(stage)] == [sister.id]


async def test_enqueuing_again_leaves_a_task_as_it_is(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)
    [lease] = await claimed(stage)
    async with stage.arrange() as session:
        await enqueue_verification(session, Submission.id == submission_id, stage.clock() + SECOND)
    assert await state(stage, submission_id) == ("leased", 1)
    assert await verify_batch(stage.app_context, [lease], TERMS) == 1
    assert await state(stage, submission_id) is None


async def test_a_submission_that_has_its_verdict_is_taken_off_the_queue_without_another(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)
    await verify_batch(stage.app_context, await claimed(stage), TERMS)
    before = await stage.verdict(submission_id)
    async with stage.arrange() as session:
        await enqueue_verification(session, Submission.id == submission_id, stage.clock())
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 0
    assert await state(stage, submission_id) is None
    assert (await stage.verdict(submission_id)).at == before.at


@pytest.mark.clause("HN334-2.3")
async def test_a_students_own_scope_sees_nothing_of_the_queue_and_adds_only_the_own(stage: Stage) -> None:
    roll_call_id, [candidate], [submission_id] = await sent(stage)
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
    assert await state(stage, submission_id) == ("waiting", 0)


# --- leases and fences ---


@dataclass(frozen=True, slots=True)
class Slow:
    """A pool that says when it was given a burst, and judges it when it is let."""

    pool: FacePool
    begun: asyncio.Event
    go: asyncio.Event

    async def judge(self, *burst: Any) -> Any:
        self.begun.set()
        await self.go.wait()
        return await self.pool.judge(*burst)


@pytest.mark.parametrize("first", ["late", "new"])
async def test_a_late_worker_writes_nothing_once_its_lease_went_to_another(stage: Stage, first: str) -> None:
    roll_call_id, [candidate], [submission_id] = await sent(stage)
    slow = Slow(stage.app_context.services[face_pool], asyncio.Event(), asyncio.Event())
    sleepy = replace(stage.app_context, services={**stage.app_context.services, face_pool: slow})
    late = asyncio.create_task(verify_batch(sleepy, await claimed(stage), TERMS))
    await slow.begun.wait()
    stage.clock.at += TERMS.lease
    [lease] = await claimed(stage, worker="two")
    assert lease.attempts == 2
    if first == "late":
        slow.go.set()
        assert await late == 0
        assert await judged(stage, submission_id) is None
        assert await state(stage, submission_id) == ("leased", 2)
    assert await verify_batch(stage.app_context, [lease], TERMS) == 1
    if first == "new":
        slow.go.set()
        assert await late == 0
    entry = (await stage.outcomes(roll_call_id))[candidate.student_id]
    assert (entry.outcome, entry.seq) == ("present", 1)


async def test_a_late_worker_that_failed_puts_off_nothing_of_anothers(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)
    [late] = await claimed(stage)
    stage.clock.at += TERMS.lease
    [lease] = await claimed(stage, worker="two")
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        await retry_later(session, late, verification.JUDGING, TERMS, stage.clock())
        assert await renew(session, [late], TERMS, stage.clock()) == set()
    task = await stage.task(submission_id)
    assert task is not None
    assert (task.state, task.fence, task.last_error) == ("leased", lease.fence, None)


async def test_a_renewed_lease_goes_to_nobody(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)
    leases = await claimed(stage)
    stage.clock.at += TERMS.lease - MICROSECOND
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        assert await renew(session, leases, TERMS, stage.clock()) == {submission_id}
    stage.clock.at += TERMS.lease - MICROSECOND
    assert await claimed(stage) == []
    stage.clock.at += MICROSECOND
    assert [lease.submission_id for lease in await claimed(stage)] == [submission_id]


async def test_what_a_worker_was_lost_over_is_taken_alone_and_given_up_in_the_end(stage: Stage) -> None:
    _, _, submissions = await sent(stage, 3)
    assert len(await claimed(stage)) == 3
    for attempt in range(1, TERMS.attempts):
        stage.clock.at += TERMS.lease
        alone = [await claimed(stage) for _ in submissions]
        assert [[lease.attempts for lease in batch] for batch in alone] == [[attempt + 1]] * 3
    stage.clock.at += TERMS.lease
    assert await claimed(stage) == []
    task = await stage.task(submissions[0])
    assert task is not None
    assert (task.state, task.last_error, task.died_at) == ("dead", "worker_lost", stage.clock())


async def test_a_worker_that_stops_gives_back_what_it_did_not_judge(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)
    slow = Slow(stage.app_context.services[face_pool], asyncio.Event(), asyncio.Event())
    stage.app_context.services[face_pool] = slow
    working = asyncio.create_task(VerificationWorker(stage.app_context, TERMS).take())
    await slow.begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await state(stage, submission_id) == ("waiting", 0)


async def test_a_closed_pool_says_nothing_of_a_burst(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)

    class Closed:
        async def judge(self, *_: Any) -> Any:
            raise FacePoolClosed

    stage.app_context.services[face_pool] = Closed()
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 0
    assert await judged(stage, submission_id) is None
    assert await state(stage, submission_id) == ("waiting", 0)


# --- the gauge and the loop ---


@dataclass(frozen=True, slots=True)
class Pace:
    worker: str
    judged: int
    busy_seconds: float


@pytest.mark.parametrize(
    ("unfinished", "paces", "seconds"),
    [
        (0, [], 0),
        (10, [], None),
        (10, [Pace("one", 0, 3.0)], None),
        (100, [Pace("one", 20, 2.0)], 10),
        (100, [Pace("one", 20, 2.0), Pace("one", 20, 2.0)], 10),
        (100, [Pace("one", 20, 2.0), Pace("two", 300, 30.0)], 5),
        (1, [Pace("one", 20, 2.0)], 1),
    ],
)
def test_the_time_that_is_left_follows_from_what_all_workers_judged_while_they_worked(
    unfinished: int, paces: list[Pace], seconds: int | None
) -> None:
    assert time_left(unfinished, paces) == (None if seconds is None else timedelta(seconds=seconds))


async def test_a_worker_judges_what_waits_and_leaves_a_pace(stage: Stage) -> None:
    roll_call_id, _, submissions = await sent(stage, 3)
    verifier = VerificationWorker(stage.app_context, replace(TERMS, batch=2))
    stage.clock.at += SECOND
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        before = await queue_metrics(session, roll_call_id, stage.clock())
    assert (before.waiting, before.leased, before.dead, before.left) == (3, 0, 0, None)
    assert before.oldest == 3 * SECOND
    assert [await verifier.take() for _ in range(3)] == [True, True, False]
    assert [await judged(stage, each) for each in submissions] == ["accepted"] * 3
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        after = await queue_metrics(session, roll_call_id, stage.clock())
    assert (after.waiting, after.leased, after.oldest, after.judged_last_minute) == (0, 0, None, 3)
    assert after.left == timedelta(0)


async def test_a_worker_goes_on_until_it_is_told_to_stop(stage: Stage) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(VerificationWorker(stage.app_context, TERMS).run(stop))
    _, _, submissions = await sent(stage, 2)
    while any([await stage.task(each) is not None for each in submissions]):
        assert not running.done()
    stop.set()
    await running
    assert [await judged(stage, each) for each in submissions] == ["accepted"] * 2


async def test_a_database_that_is_away_ends_no_worker(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, stop = VerificationWorker(stage.app_context, TERMS), asyncio.Event()
    asked = 0

    async def away() -> bool:
        nonlocal asked
        asked += 1
        if asked > 2:
            stop.set()
        raise ConnectionError

    monkeypatch.setattr("backend.roll_call.verification.worker.AFTER_FAILURE_SECONDS", 0.0)
    monkeypatch.setattr(verifier, "take", away)
    await verifier.run(stop)
    assert asked > 2
