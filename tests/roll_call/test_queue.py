"""The queue of verification: lent out once, taken back from whoever is silent, and nothing written by a late worker."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from backend.core.logging import configure_logging
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.roll_call import recording, verification
from backend.roll_call.dead_letters import retry
from backend.roll_call.facts import facts_of
from backend.roll_call.outcomes import write_outcome
from backend.roll_call.queue import Lease, claim, enqueue_verification, give_back, put_off, renew
from backend.roll_call.queue_gauge import gauge, time_left
from backend.roll_call.tables import RollCall, Submission, Verdict, VerificationPace, VerificationTask
from backend.roll_call.verification import verify_batch
from backend.roll_call.verifier import Verifier
from biometrics.checks import Shot
from biometrics.pool import FacePool, FacePoolClosed
from tests.roll_call.stage import GRACE, MICROSECOND, TERMS, Candidate, Stage

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True, scope="module")
def plain_log() -> Iterator[None]:
    """Tracebacks as a deployment writes them; drawing them in colour takes seconds each."""
    configure_logging(as_json=True)
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
async def empty_queue(stage: Stage) -> None:
    """Other tests leave what they never judge."""
    async with stage.arrange() as session:
        await session.execute(delete(VerificationTask))
        await session.execute(delete(VerificationPace))


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
    async with stage.runtime.database.transaction(Scope.none()) as session:
        return await claim(session, worker, replace(TERMS, batch=batch), stage.clock())


async def state(stage: Stage, submission_id: UUID) -> tuple[str, int] | None:
    task = await stage.task(submission_id)
    return (task.state, task.attempts) if task else None


async def judged(stage: Stage, submission_id: UUID) -> str | None:
    async with stage.arrange() as session:
        verdict: Verdict | None = await session.get(Verdict, submission_id)
    return verdict.finding if verdict else None


# --- who gets what ---


async def test_what_one_worker_is_taking_another_does_not_wait_for_and_does_not_get(stage: Stage) -> None:
    _, _, submissions = await sent(stage, 3)
    async with stage.runtime.database.transaction(Scope.none()) as session:
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
    assert await verify_batch(stage.runtime, [lease], TERMS) == 1
    assert await state(stage, submission_id) is None


async def test_a_submission_that_has_its_verdict_is_taken_off_the_queue_without_another(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)
    await verify_batch(stage.runtime, await claimed(stage), TERMS)
    before = await stage.verdict(submission_id)
    async with stage.arrange() as session:
        await enqueue_verification(session, Submission.id == submission_id, stage.clock())
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 0
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
    database = stage.runtime.database
    async with database.transaction(candidate.acting.scope) as session:
        assert await session.scalar(select(func.count()).select_from(VerificationTask)) == 0
        gone = await session.execute(text("DELETE FROM verification_task RETURNING submission_id"))
        assert gone.all() == []
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.transaction(candidate.acting.scope) as session:
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
    slow = Slow(stage.runtime.extras["face_pool"], asyncio.Event(), asyncio.Event())
    sleepy = replace(stage.runtime, extras={**stage.runtime.extras, "face_pool": slow})
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
    assert await verify_batch(stage.runtime, [lease], TERMS) == 1
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
    async with stage.runtime.database.transaction(Scope.school(stage.school.id)) as session:
        await put_off(session, late, verification.JUDGING, TERMS, stage.clock())
        assert await renew(session, [late], TERMS, stage.clock()) == set()
    task = await stage.task(submission_id)
    assert task is not None
    assert (task.state, task.fence, task.last_error) == ("leased", lease.fence, None)


async def test_a_renewed_lease_goes_to_nobody(stage: Stage) -> None:
    _, _, [submission_id] = await sent(stage)
    leases = await claimed(stage)
    stage.clock.at += TERMS.lease - MICROSECOND
    async with stage.runtime.database.transaction(Scope.school(stage.school.id)) as session:
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
    slow = Slow(stage.runtime.extras["face_pool"], asyncio.Event(), asyncio.Event())
    stage.runtime.extras["face_pool"] = slow
    working = asyncio.create_task(Verifier(stage.runtime, TERMS).take())
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

    stage.runtime.extras["face_pool"] = Closed()
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 0
    assert await judged(stage, submission_id) is None
    assert await state(stage, submission_id) == ("waiting", 0)


# --- poison, dead letters, retries ---


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A pool that breaks over the burst of one person, in a way that nobody foresaw."""

    pool: FacePool
    frame: bytes

    async def judge(self, burst: Sequence[Shot], *rest: Any) -> Any:
        if any(shot.data == self.frame for shot in burst):
            msg = "nobody foresaw this"
            raise RuntimeError(msg)
        return await self.pool.judge(burst, *rest)


async def poisoned(stage: Stage, submission_id: UUID) -> FacePool:
    """The pool as it was before it breaks over this submission."""
    pool: FacePool = stage.runtime.extras["face_pool"]
    async with stage.arrange() as session:
        submission = await session.get_one(Submission, submission_id)
    frame = await stage.runtime.evidence.get(submission.frame_key(0))
    stage.runtime.extras["face_pool"] = Poisoned(pool, frame)
    return pool


async def test_a_poisonous_submission_becomes_a_dead_letter_and_the_others_are_judged(stage: Stage) -> None:
    _, _, submissions = await sent(stage, 3)
    await poisoned(stage, submissions[1])
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 2
    assert [await judged(stage, each) for each in submissions] == ["accepted", None, "accepted"]
    task = await stage.task(submissions[1])
    assert task is not None
    assert (task.state, task.last_error, task.not_before) == (
        "waiting",
        "judging_failed",
        stage.clock() + 2 * SECOND,
    )
    for wait in (2, 4):
        assert await claimed(stage) == []
        stage.clock.at += wait * SECOND
        assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 0
    assert await state(stage, submissions[1]) == ("dead", TERMS.attempts)
    stage.clock.at += timedelta(days=1)
    assert await claimed(stage) == []


async def test_what_cannot_be_recorded_spoils_no_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    roll_call_id, candidates, submissions = await sent(stage, 3)
    write = write_outcome

    async def refusing(session: Any, roll_call: Any, obligation: Any, *rest: Any, **named: Any) -> bool:
        if obligation.student_id == candidates[1].student_id:
            await session.execute(text("SELECT 1 / 0"))
        return await write(session, roll_call, obligation, *rest, **named)

    monkeypatch.setattr(recording, "write_outcome", refusing)
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 2
    assert set(await stage.outcomes(roll_call_id)) == {candidates[0].student_id, candidates[2].student_id}
    assert await judged(stage, submissions[1]) is None
    monkeypatch.undo()
    stage.clock.at += 2 * SECOND
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 1
    assert await state(stage, submissions[1]) is None


async def test_what_cannot_be_read_spoils_no_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, submissions = await sent(stage, 3)
    read = facts_of

    async def refusing(session: Any, runtime: Any, school_id: UUID, wanted: Sequence[UUID]) -> Any:
        if submissions[1] in wanted:
            raise LookupError
        return await read(session, runtime, school_id, wanted)

    monkeypatch.setattr(verification, "facts_of", refusing)
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 2
    task = await stage.task(submissions[1])
    assert task is not None
    assert task.last_error == "reading_failed"


@pytest.mark.clause("HN334-3.4")
def away() -> OperationalError:
    """What a lost connection to the database raises."""
    return OperationalError(
        "SELECT 1", {}, psycopg.OperationalError("server closed the connection unexpectedly")
    )


@pytest.mark.parametrize("part", ["facts_of", "record"])
async def test_a_database_that_goes_away_costs_no_submission_an_attempt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    _, _, submissions = await sent(stage, 2)

    async def cut_off(*_arguments: Any) -> Any:
        raise away()

    monkeypatch.setattr(verification, part, cut_off)
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 0
    for each in submissions:
        task = await stage.task(each)
        assert task is not None
        assert (task.state, task.attempts, task.last_error) == ("waiting", 0, None)
    monkeypatch.undo()
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 2


async def test_what_was_interrupted_is_given_back_as_soon_as_the_database_is_there_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await sent(stage, 1)
    returns, asked = give_back, 0

    async def cut_off(*_arguments: Any) -> Any:
        raise away()

    async def still_away(session: Any, leases: Any) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise away()
        await returns(session, leases)

    monkeypatch.setattr(verification, "facts_of", cut_off)
    monkeypatch.setattr(verification, "give_back", still_away)
    monkeypatch.setattr(verification, "LOOK_AGAIN_SECONDS", 0.0)
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 0
    assert asked == 3
    assert await state(stage, submissions[0]) == ("waiting", 0)


async def test_a_statement_that_fails_is_no_database_that_is_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await sent(stage, 1)

    async def refused(*_arguments: Any) -> Any:
        raise OperationalError("SELECT 1", {}, psycopg.errors.ProgramLimitExceeded())

    monkeypatch.setattr(verification, "facts_of", refused)
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 0
    task = await stage.task(submissions[0])
    assert task is not None
    assert (task.attempts, task.last_error) == (1, "reading_failed")


async def test_a_dead_letter_makes_nobody_missed_and_a_retry_makes_the_student_present(stage: Stage) -> None:
    roll_call_id, [candidate], [submission_id] = await sent(stage)
    sound = await poisoned(stage, submission_id)
    for wait in (0, 2, 4):
        stage.clock.at += wait * SECOND
        await verify_batch(stage.runtime, await claimed(stage), TERMS)
    async with stage.arrange() as session:
        roll_call = await session.get_one(RollCall, roll_call_id)
    stage.clock.at = roll_call.closes_at + SECOND
    assert (await stage.settle(roll_call)).waiting_for == 1
    assert await state(stage, submission_id) == ("dead", TERMS.attempts)
    stage.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    assert (await stage.settle(roll_call)).figures["undetermined"] == 1
    stage.runtime.extras["face_pool"] = sound
    bureau = stage.bureau
    async with stage.runtime.database.transaction(bureau.scope) as session:
        await retry(session, bureau, submission_id, stage.clock())
    assert await verify_batch(stage.runtime, await claimed(stage), TERMS) == 1
    assert await stage.outcome(roll_call_id, candidate) == ("present", "verified")
    async with stage.arrange() as session:
        retried = select(AuditEntry.acting_account).where(
            AuditEntry.action == "verification.retry", AuditEntry.subject_id == str(submission_id)
        )
        assert (await session.scalars(retried)).all() == [bureau.account_id]


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
    verifier = Verifier(stage.runtime, replace(TERMS, batch=2))
    stage.clock.at += SECOND
    async with stage.runtime.database.transaction(stage.bureau.scope) as session:
        before = await gauge(session, roll_call_id, stage.clock())
    assert (before.waiting, before.leased, before.dead, before.left) == (3, 0, 0, None)
    assert before.oldest == 3 * SECOND
    assert [await verifier.take() for _ in range(3)] == [True, True, False]
    assert [await judged(stage, each) for each in submissions] == ["accepted"] * 3
    async with stage.runtime.database.transaction(stage.bureau.scope) as session:
        after = await gauge(session, roll_call_id, stage.clock())
    assert (after.waiting, after.leased, after.oldest, after.judged_last_minute) == (0, 0, None, 3)
    assert after.left == timedelta(0)


async def test_a_worker_goes_on_until_it_is_told_to_stop(stage: Stage) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Verifier(stage.runtime, TERMS).run(stop))
    _, _, submissions = await sent(stage, 2)
    while any([await stage.task(each) is not None for each in submissions]):
        assert not running.done()
    stop.set()
    await running
    assert [await judged(stage, each) for each in submissions] == ["accepted"] * 2


async def test_a_database_that_is_away_ends_no_worker(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, stop = Verifier(stage.runtime, TERMS), asyncio.Event()
    asked = 0

    async def away() -> bool:
        nonlocal asked
        asked += 1
        if asked > 2:
            stop.set()
        raise ConnectionError

    monkeypatch.setattr("backend.roll_call.verifier.AFTER_FAILURE_SECONDS", 0.0)
    monkeypatch.setattr(verifier, "take", away)
    await verifier.run(stop)
    assert asked > 2
