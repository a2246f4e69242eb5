"""Frames: exactly what the envelope declared, in time, by its own student; sending one again changes nothing."""

import asyncio

import pytest

from backend.core.errors import NotFound
from backend.roll_call.errors import FrameNotDeclared, FramesTooLate
from backend.roll_call.intake import FrameToStore, frame_to_store
from tests.roll_call.stage import MICROSECOND, Candidate, Stage, burst


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def wanted(stage: Stage, candidate: Candidate, submission_id: object, position: int) -> FrameToStore:
    async with stage.runtime.database.transaction(candidate.acting.scope) as session:
        return await frame_to_store(session, candidate.acting, submission_id, position, stage.clock())  # type: ignore[arg-type]  # any identifier


async def test_the_last_frame_of_a_burst_starts_the_verification_once(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    frames = burst(candidate.person)
    received = await stage.submit(candidate, launched.roll_call.id, frames)
    complete = [
        (await stage.upload(candidate, received.submission_id, position, frames[position]))[1]
        for position in (2, 0, 1, 7, 4, 3, 6, 5)
    ]
    assert complete == [False] * 7 + [True]
    assert await stage.task(received.submission_id) is not None


async def test_sending_a_frame_again_changes_nothing(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    frames = burst(candidate.person)
    submission_id = await stage.check_in(candidate, launched.roll_call.id, frames)
    stage.clock.at = launched.roll_call.frames_until + MICROSECOND
    frame, complete = await stage.upload(candidate, submission_id, 1, frames[1])
    assert (frame.stored, complete) == (True, True)
    assert await stage.task(submission_id) is not None


async def test_frames_sent_at_once_start_one_verification(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    frames = burst(candidate.person)
    received = await stage.submit(candidate, launched.roll_call.id, frames)
    uploads = [(position, frames[position]) for position in (*range(8), *range(8))]
    await asyncio.gather(
        *(stage.upload(candidate, received.submission_id, position, data) for position, data in uploads)
    )
    assert await stage.task(received.submission_id) is not None


async def test_other_bytes_than_declared_do_not_match(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    frames = burst(candidate.person)
    received = await stage.submit(candidate, launched.roll_call.id, frames)
    frame = await wanted(stage, candidate, received.submission_id, 0)
    assert frame.matches(frames[0])
    assert not frame.matches(frames[1])


async def test_a_frame_that_was_not_declared_is_refused(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    received = await stage.submit(candidate, launched.roll_call.id, burst(candidate.person))
    for position in (-1, 8):
        with pytest.raises(FrameNotDeclared):
            await wanted(stage, candidate, received.submission_id, position)


async def test_a_frame_is_taken_until_the_end_of_the_grace(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    received = await stage.submit(candidate, launched.roll_call.id)
    stage.clock.at = received.frames_due_at
    assert not (await wanted(stage, candidate, received.submission_id, 0)).stored
    stage.clock.at = received.frames_due_at + MICROSECOND
    with pytest.raises(FramesTooLate):
        await wanted(stage, candidate, received.submission_id, 0)


async def test_frames_of_somebody_elses_submission_are_absent(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    received = await stage.submit(candidate, launched.roll_call.id)
    classmate = await stage.activate(stage.school.students[1])
    with pytest.raises(NotFound):
        await wanted(stage, classmate, received.submission_id, 0)
