"""What cannot be judged: it spoils no other, is tried again, becomes a dead letter in the end, and costs nobody a miss."""

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
from backend.roll_call.verification import record as recording
from backend.roll_call.verification import service as verification
from backend.roll_call.verification.dead_letters import retry
from backend.roll_call.verification.inputs import load_inputs
from backend.roll_call.verification.queue import release
from backend.roll_call.verification.service import verify_batch
from biometrics.checks import Shot
from biometrics.pool import FacePool
from tests.support.roll_call.scenario import GRACE, MICROSECOND, TERMS, Stage
from tests.support.roll_call.verification import SECOND, claimed, judged, sent, state

pytestmark = pytest.mark.usefixtures("empty_queue", "plain_log")


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
    pool: FacePool = stage.app_context.services[face_pool]
    async with stage.arrange() as session:
        submission = await session.get_one(Submission, submission_id)
    frame = await stage.app_context.evidence.get(submission.frame_key(0))
    stage.app_context.services[face_pool] = Poisoned(pool, frame)
    return pool


async def test_a_poisonous_submission_becomes_a_dead_letter_and_the_others_are_judged(stage: Stage) -> None:
    _, _, submissions = await sent(stage, 3)
    await poisoned(stage, submissions[1])
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 2
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
        assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 0
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
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 2
    assert set(await stage.outcomes(roll_call_id)) == {candidates[0].student_id, candidates[2].student_id}
    assert await judged(stage, submissions[1]) is None
    monkeypatch.undo()
    stage.clock.at += 2 * SECOND
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 1
    assert await state(stage, submissions[1]) is None


async def test_what_cannot_be_read_spoils_no_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, submissions = await sent(stage, 3)
    read = load_inputs

    async def refusing(session: Any, app_context: Any, school_id: UUID, wanted: Sequence[UUID]) -> Any:
        if submissions[1] in wanted:
            raise LookupError
        return await read(session, app_context, school_id, wanted)

    monkeypatch.setattr(verification, "load_inputs", refusing)
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 2
    task = await stage.task(submissions[1])
    assert task is not None
    assert task.last_error == "reading_failed"


def away() -> OperationalError:
    """What a lost connection to the database raises."""
    return OperationalError(
        "SELECT 1", {}, psycopg.OperationalError("server closed the connection unexpectedly")
    )


@pytest.mark.parametrize("part", ["load_inputs", "record_verdicts"])
async def test_a_database_that_goes_away_costs_no_submission_an_attempt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    _, _, submissions = await sent(stage, 2)

    async def cut_off(*_arguments: Any) -> Any:
        raise away()

    monkeypatch.setattr(verification, part, cut_off)
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 0
    for each in submissions:
        task = await stage.task(each)
        assert task is not None
        assert (task.state, task.attempts, task.last_error) == ("waiting", 0, None)
    monkeypatch.undo()
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 2


async def test_what_was_interrupted_is_given_back_as_soon_as_the_database_is_there_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await sent(stage, 1)
    returns, asked = release, 0

    async def cut_off(*_arguments: Any) -> Any:
        raise away()

    async def still_away(session: Any, leases: Any) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise away()
        await returns(session, leases)

    monkeypatch.setattr(verification, "load_inputs", cut_off)
    monkeypatch.setattr(verification, "release", still_away)
    monkeypatch.setattr(verification, "LOOK_AGAIN_SECONDS", 0.0)
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 0
    assert asked == 3
    assert await state(stage, submissions[0]) == ("waiting", 0)


async def test_a_statement_that_fails_is_no_database_that_is_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, submissions = await sent(stage, 1)

    async def refused(*_arguments: Any) -> Any:
        raise OperationalError("SELECT 1", {}, psycopg.errors.ProgramLimitExceeded())

    monkeypatch.setattr(verification, "load_inputs", refused)
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 0
    task = await stage.task(submissions[0])
    assert task is not None
    assert (task.attempts, task.last_error) == (1, "reading_failed")


@pytest.mark.clause("HN334-3.4")
async def test_a_dead_letter_makes_nobody_missed_and_a_retry_makes_the_student_present(stage: Stage) -> None:
    roll_call_id, [candidate], [submission_id] = await sent(stage)
    sound = await poisoned(stage, submission_id)
    for wait in (0, 2, 4):
        stage.clock.at += wait * SECOND
        await verify_batch(stage.app_context, await claimed(stage), TERMS)
    async with stage.arrange() as session:
        roll_call = await session.get_one(RollCall, roll_call_id)
    stage.clock.at = roll_call.closes_at + SECOND
    assert (await stage.settle(roll_call)).waiting_for == 1
    assert await state(stage, submission_id) == ("dead", TERMS.attempts)
    stage.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    assert (await stage.settle(roll_call)).figures["undetermined"] == 1
    stage.app_context.services[face_pool] = sound
    bureau = stage.bureau
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await retry(session, bureau, submission_id, stage.clock())
    assert await verify_batch(stage.app_context, await claimed(stage), TERMS) == 1
    assert await stage.outcome(roll_call_id, candidate) == ("present", "verified")
    async with stage.arrange() as session:
        retried = select(AuditEntry.acting_account).where(
            AuditEntry.action == "verification.retry", AuditEntry.subject_id == str(submission_id)
        )
        assert (await session.scalars(retried)).all() == [bureau.account_id]
