"""Frames: exactly what the envelope declared, in time, by its own student; sending one again changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from backend.core.errors import NotFound
from backend.core.web.requests import BodyTooLarge
from backend.roll_call.check_in.frames import (
    FrameRegister,
    FrameToStore,
    StoredFrame,
    frame_to_store,
    store_frame,
)
from backend.roll_call.errors import FrameHashMismatch, FrameNotDeclared, FramesTooLate
from tests.support.roll_call.scenario import MICROSECOND, Stage
from tests.support.roll_call.student_phone import Candidate, burst, in_pieces


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def wanted(stage: Stage, candidate: Candidate, submission_id: UUID, position: int) -> FrameToStore:
    at = stage.clock()
    return await frame_to_store(stage.app_context.database, candidate.actor, submission_id, position, at)


def left(stage: Stage, submission_id: UUID) -> list[Path]:
    """Every file of a submission in the evidence store, finished or not."""
    return [
        path
        for path in stage.app_context.settings.evidence_dir.rglob(f"*{submission_id}/*")
        if path.is_file()
    ]


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


async def test_other_bytes_than_declared_are_refused_and_leave_nothing(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    large = [bytes([number]) * 150_000 for number in range(8)]
    received = await stage.submit(candidate, launched.roll_call.id, large)
    frame = await wanted(stage, candidate, received.submission_id, 0)
    for wrong in (large[1], large[0][:-1], b"small", b""):
        with pytest.raises(FrameHashMismatch):
            await store_frame(stage.app_context, frame, in_pieces(wrong))
    assert left(stage, received.submission_id) == []
    assert await store_frame(stage.app_context, frame, in_pieces(large[0])) == 150_000
    assert await stage.app_context.evidence.get(frame.evidence_key) == large[0]


async def test_a_frame_that_grows_beyond_its_bound_is_refused_and_leaves_nothing(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    received = await stage.submit(candidate, launched.roll_call.id)
    frame = replace(await wanted(stage, candidate, received.submission_id, 0), limit=100_000)
    with pytest.raises(BodyTooLarge):
        await store_frame(stage.app_context, frame, in_pieces(b"x" * 200_000))
    assert left(stage, received.submission_id) == []


async def test_a_cut_off_upload_leaves_nothing_and_is_done_again(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    large = [bytes([number]) * 150_000 for number in range(8)]
    received = await stage.submit(candidate, launched.roll_call.id, large)
    frame = await wanted(stage, candidate, received.submission_id, 0)

    async def cut_off() -> AsyncIterator[bytes]:
        yield large[0][:100_000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store_frame(stage.app_context, frame, cut_off())
    assert left(stage, received.submission_id) == []
    _, complete = await stage.upload(candidate, received.submission_id, 0, large[0])
    assert not complete


async def test_wrong_bytes_for_a_frame_that_is_stored_leave_it_as_it_is(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    frames = burst(candidate.person)
    received = await stage.submit(candidate, launched.roll_call.id, frames)
    await stage.upload(candidate, received.submission_id, 0, frames[0])
    frame = await wanted(stage, candidate, received.submission_id, 0)
    with pytest.raises(FrameHashMismatch):
        await store_frame(stage.app_context, frame, in_pieces(frames[1]))
    assert await stage.app_context.evidence.get(frame.evidence_key) == frames[0]


async def test_frames_that_arrive_together_are_recorded_together_and_start_one_verification_each(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    other = await stage.activate(stage.school.students[1])
    bursts = {who.student_id: burst(who.person) for who in (candidate, other)}
    register, at, stored = FrameRegister(stage.app_context), stage.clock(), []
    for who in (candidate, other):
        received = await stage.submit(who, launched.roll_call.id, bursts[who.student_id])
        for position, data in enumerate(bursts[who.student_id]):
            frame = await wanted(stage, who, received.submission_id, position)
            size = await store_frame(stage.app_context, frame, in_pieces(data))
            stored += [StoredFrame(frame, who.actor, size, at)] * 2
    complete = await asyncio.gather(*(register.record(each) for each in stored))
    assert complete[-1]
    for submission_id in {each.frame.submission_id for each in stored}:
        assert await stage.task(submission_id) is not None


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
