"""Frames: exactly the declared bytes, in time, from the right student; uploading one again changes nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image

from backend.core.errors import NotFound
from backend.core.web.requests import BodyTooLarge
from backend.roll_call.check_in.frames import (
    DeclaredFrame,
    FrameRecorder,
    StoredFrame,
    load_declared_frame,
    store_frame,
)
from backend.roll_call.errors import FrameHashMismatch, FrameNotDeclared, FramesTooLate
from backend.roll_call.tables import SubmissionFrame
from biometrics.pictures.containers import ImageUnsupported
from biometrics.pictures.decoding import ImageTooLarge
from tests.support.biometrics.hostile_pictures import heic_picture
from tests.support.biometrics.pictures import encode_picture, noise_picture
from tests.support.pictures import read_picture
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone, render_burst, stream_chunks


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


async def load_frame(
    scenario: RollCallScenario, student: StudentWithPhone, submission_id: UUID, position: int
) -> DeclaredFrame:
    at = scenario.clock()
    return await load_declared_frame(scenario.app_context, student.actor, submission_id, position, at)


def large_frame(number: int) -> bytes:
    """A frame that is stored in several parts; its content is judged later."""
    return b"\xff\xd8\xff" + bytes([number]) * 150_000


def list_files(scenario: RollCallScenario) -> set[Path]:
    """List all files in the evidence store, including incomplete ones."""
    return {path for path in scenario.app_context.settings.evidence_dir.rglob("*") if path.is_file()}


async def test_last_frame_of_a_burst_enqueues_verification_once(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    frames = render_burst(student.person)
    received = await scenario.submit(student, launched.roll_call.id, frames)
    complete = [
        (await scenario.upload(student, received.submission_id, position, frames[position]))[1]
        for position in (2, 0, 1, 7, 4, 3, 6, 5)
    ]
    assert complete == [False] * 7 + [True]
    assert await scenario.task(received.submission_id) is not None


async def test_uploading_a_frame_again_changes_nothing(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    frames = render_burst(student.person)
    submission_id = await scenario.check_in(student, launched.roll_call.id, frames)
    scenario.clock.at = launched.roll_call.frames_until + MICROSECOND
    frame, complete = await scenario.upload(student, submission_id, 1, frames[1])
    assert (frame.stored, complete) == (True, True)
    assert await scenario.task(submission_id) is not None


async def test_frame_is_sealed_under_an_opaque_name(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    frames = render_burst(student.person)
    received = await scenario.submit(student, launched.roll_call.id, frames)
    before = list_files(scenario)
    await scenario.upload(student, received.submission_id, 0, frames[0])
    [file] = list_files(scenario) - before
    assert frames[0] not in file.read_bytes()
    assert not any(str(each) in str(file) for each in (received.submission_id, student.student_id))
    async with scenario.owner_transaction() as session:
        row = await session.get_one(SubmissionFrame, (received.submission_id, 0))
    assert file == scenario.app_context.settings.evidence_dir / row.evidence_key
    assert (row.sha256, row.size) == (hashlib.sha256(frames[0]).digest(), len(frames[0]))


async def test_picture_key_comes_with_the_declaration_and_only_the_first_frame_opens_a_transaction(
    scenario: RollCallScenario, student: StudentWithPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = await scenario.launch()
    received = await scenario.submit(student, launched.roll_call.id)
    first = await load_frame(scenario, student, received.submission_id, 0)
    monkeypatch.setattr(scenario.app_context.database, "transaction", None)
    second = await load_frame(scenario, student, received.submission_id, 1)
    assert first.key == second.key


async def test_concurrent_uploads_enqueue_one_verification(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    frames = render_burst(student.person)
    received = await scenario.submit(student, launched.roll_call.id, frames)
    uploads = [(position, frames[position]) for position in (*range(8), *range(8))]
    await asyncio.gather(
        *(scenario.upload(student, received.submission_id, position, data) for position, data in uploads)
    )
    assert await scenario.task(received.submission_id) is not None


async def test_undeclared_bytes_are_refused_and_leave_no_file(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    large = [large_frame(number) for number in range(8)]
    received = await scenario.submit(student, launched.roll_call.id, large)
    frame = await load_frame(scenario, student, received.submission_id, 0)
    before = list_files(scenario)
    for wrong in (large[1], large[0][:-1], b"small", b""):
        with pytest.raises(FrameHashMismatch):
            await store_frame(scenario.app_context, frame, stream_chunks(wrong))
    assert list_files(scenario) == before
    assert await store_frame(scenario.app_context, frame, stream_chunks(large[0])) == len(large[0])
    assert await read_picture(scenario.app_context, frame.picture) == large[0]


async def test_oversized_frame_is_refused_and_leaves_no_file(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    received = await scenario.submit(student, launched.roll_call.id)
    frame = await load_frame(scenario, student, received.submission_id, 0)
    before = list_files(scenario)
    frame = replace(frame, limits=replace(frame.limits, max_bytes=100_000))
    with pytest.raises(BodyTooLarge):
        await store_frame(scenario.app_context, frame, stream_chunks(b"x" * 200_000))
    assert list_files(scenario) == before


@pytest.mark.parametrize("foreign", [b"GIF89a" + bytes(200), b"%PDF-1.7" + bytes(200_000), b"\0\0"])
async def test_frame_of_another_format_is_refused_at_upload(
    scenario: RollCallScenario, student: StudentWithPhone, foreign: bytes
) -> None:
    launched = await scenario.launch()
    frames = [foreign, *render_burst(student.person)[1:]]
    received = await scenario.submit(student, launched.roll_call.id, frames)
    frame = await load_frame(scenario, student, received.submission_id, 0)
    before = list_files(scenario)
    with pytest.raises(ImageUnsupported):
        await store_frame(scenario.app_context, frame, stream_chunks(foreign))
    assert list_files(scenario) == before


@pytest.mark.parametrize(
    ("kind", "size"), [("PNG", (5000, 5000)), ("WEBP", (1300, 1920)), ("JPEG", (2000, 2100))]
)
async def test_frame_with_too_many_pixels_is_refused_at_upload(
    scenario: RollCallScenario, student: StudentWithPhone, kind: str, size: tuple[int, int]
) -> None:
    launched = await scenario.launch()
    flat = encode_picture(Image.new("RGB", size), kind)
    received = await scenario.submit(
        student, launched.roll_call.id, [flat, *render_burst(student.person)[1:]]
    )
    frame = await load_frame(scenario, student, received.submission_id, 0)
    before = list_files(scenario)
    with pytest.raises(ImageTooLarge):
        await store_frame(scenario.app_context, frame, stream_chunks(flat))
    assert list_files(scenario) == before


async def test_heic_frame_is_taken_at_upload(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    launched = await scenario.launch()
    heic = heic_picture(noise_picture())
    received = await scenario.submit(
        student, launched.roll_call.id, [heic, *render_burst(student.person)[1:]]
    )
    assert (await scenario.upload(student, received.submission_id, 0, heic))[0].stored is False


async def test_interrupted_upload_leaves_no_file_and_can_be_repeated(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    large = [large_frame(number) for number in range(8)]
    received = await scenario.submit(student, launched.roll_call.id, large)
    frame = await load_frame(scenario, student, received.submission_id, 0)
    before = list_files(scenario)

    async def interrupted_upload() -> AsyncIterator[bytes]:
        yield large[0][:100_000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store_frame(scenario.app_context, frame, interrupted_upload())
    assert list_files(scenario) == before
    _, complete = await scenario.upload(student, received.submission_id, 0, large[0])
    assert not complete


async def test_wrong_bytes_do_not_change_a_stored_frame(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    frames = render_burst(student.person)
    received = await scenario.submit(student, launched.roll_call.id, frames)
    await scenario.upload(student, received.submission_id, 0, frames[0])
    frame = await load_frame(scenario, student, received.submission_id, 0)
    with pytest.raises(FrameHashMismatch):
        await store_frame(scenario.app_context, frame, stream_chunks(frames[1]))
    assert await read_picture(scenario.app_context, frame.picture) == frames[0]


async def test_batched_frames_enqueue_one_verification_per_burst(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    other = await scenario.activate(scenario.school.students[1])
    bursts = {each.student_id: render_burst(each.person) for each in (student, other)}
    recorder, at, stored = FrameRecorder(scenario.app_context), scenario.clock(), []
    for each in (student, other):
        received = await scenario.submit(each, launched.roll_call.id, bursts[each.student_id])
        for position, data in enumerate(bursts[each.student_id]):
            frame = await load_frame(scenario, each, received.submission_id, position)
            size = await store_frame(scenario.app_context, frame, stream_chunks(data))
            stored += [StoredFrame(frame, each.actor, size, at)] * 2
    complete = await asyncio.gather(*(recorder.record(each) for each in stored))
    assert complete[-1]
    for submission_id in {each.frame.submission_id for each in stored}:
        assert await scenario.task(submission_id) is not None


async def test_undeclared_frame_position_is_refused(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    received = await scenario.submit(student, launched.roll_call.id, render_burst(student.person))
    for position in (-1, 8):
        with pytest.raises(FrameNotDeclared):
            await load_frame(scenario, student, received.submission_id, position)


async def test_frame_is_accepted_until_the_grace_ends(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    received = await scenario.submit(student, launched.roll_call.id)
    scenario.clock.at = received.frames_due_at
    assert not (await load_frame(scenario, student, received.submission_id, 0)).stored
    scenario.clock.at = received.frames_due_at + MICROSECOND
    with pytest.raises(FramesTooLate):
        await load_frame(scenario, student, received.submission_id, 0)


async def test_submission_of_a_classmate_is_not_found(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    received = await scenario.submit(student, launched.roll_call.id)
    classmate = await scenario.activate(scenario.school.students[1])
    with pytest.raises(NotFound):
        await load_frame(scenario, classmate, received.submission_id, 0)
