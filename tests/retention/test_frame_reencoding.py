"""Frames are stored as signed by the phone until the verdict, and re-encoded afterwards."""

import asyncio
import hashlib
import io
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import select

from backend.identity.face.pool import face_pool
from backend.retention.frame_reencoding import NO_COPY, reencode_verified_frames
from backend.roll_call.tables import Submission, SubmissionFrame, VerdictRecord
from biometrics.pool import FacePool
from tests.support.biometrics.faulty_engines import crash
from tests.support.biometrics.pictures import encode_picture
from tests.support.pictures import read_picture
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone

SECRET = b"GPS 34.7466N 113.6253E"


@dataclass(frozen=True)
class CrashingPool:
    """A pool whose workers crash on one picture."""

    pool: FacePool
    killer: bytes

    async def reencode(self, data: bytes) -> bytes | None:
        if data == self.killer:
            await asyncio.wrap_future(self.pool.submit(crash))
        return await self.pool.reencode(data)


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    await reencode_verified_frames(scenario.app_context, 10**6)
    return await scenario.activate(scenario.school.students[0])


def add_comment(frame: bytes) -> bytes:
    """Re-encode the frame as a JPEG with a comment, as a phone might send it."""
    return encode_picture(Image.open(io.BytesIO(frame)).convert("RGB"), "JPEG", comment=SECRET, quality=95)


async def load_frames(scenario: RollCallScenario, student: StudentWithPhone) -> list[SubmissionFrame]:
    async with scenario.owner_transaction() as session:
        query = select(SubmissionFrame).where(SubmissionFrame.student_id == student.student_id)
        return list(await session.scalars(query.order_by(SubmissionFrame.position)))


async def record_verdict(scenario: RollCallScenario, student: StudentWithPhone, submission_id: UUID) -> None:
    """Add a verdict for the submission."""
    async with scenario.owner_transaction() as session:
        submission = await session.get_one(Submission, submission_id)
        verdict = VerdictRecord(
            submission_id=submission_id,
            roll_call_id=submission.roll_call_id,
            school_id=submission.school_id,
            term_code=submission.term_code,
            student_id=student.student_id,
            finding="step_up",
            reasons=["verification_unavailable"],
            trace={},
            at=scenario.clock(),
        )
        session.add(verdict)


async def test_verified_frames_keep_only_their_pixels(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    sent = [add_comment(frame) for frame in await scenario.answer(student, launched.roll_call.id)]
    submission_id = await scenario.check_in(student, launched.roll_call.id, sent)
    assert await reencode_verified_frames(scenario.app_context) == 0
    assert [
        await read_picture(scenario.app_context, each.picture)
        for each in await load_frames(scenario, student)
    ] == sent
    await record_verdict(scenario, student, submission_id)
    assert await reencode_verified_frames(scenario.app_context) == len(sent)
    for frame, before in zip(await load_frames(scenario, student), sent, strict=True):
        kept = await read_picture(scenario.app_context, frame.picture)
        assert SECRET not in kept
        assert frame.kept_sha256 == hashlib.sha256(kept).digest()
        assert frame.sha256 == hashlib.sha256(before).digest()
        assert Image.open(io.BytesIO(kept)).size == Image.open(io.BytesIO(before)).size
    assert await reencode_verified_frames(scenario.app_context) == 0


async def test_invalid_pictures_are_deleted_after_the_verdict(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    junk = [b"\xff\xd8\xff not a picture %d %d" % (student.person, number) for number in range(8)]
    await record_verdict(scenario, student, await scenario.check_in(student, launched.roll_call.id, junk))
    assert await reencode_verified_frames(scenario.app_context) == 8
    frames = await load_frames(scenario, student)
    assert [frame.kept_sha256 for frame in frames] == [NO_COPY] * 8
    with pytest.raises(FileNotFoundError):
        await read_picture(scenario.app_context, frames[0].picture)


async def test_picture_that_kills_workers_is_kept_and_blocks_no_other(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    await record_verdict(scenario, student, await scenario.check_in(student, launched.roll_call.id))
    pool = scenario.app_context.services[face_pool]
    crashing = (await load_frames(scenario, student))[0]
    frames = len(await load_frames(scenario, student))
    killer = await read_picture(scenario.app_context, crashing.picture)
    services = {**scenario.app_context.services, face_pool: CrashingPool(pool, killer)}
    assert await reencode_verified_frames(replace(scenario.app_context, services=services)) == frames - 1
    assert (await load_frames(scenario, student))[0].kept_sha256 is None
    assert await read_picture(scenario.app_context, crashing.picture) == killer
