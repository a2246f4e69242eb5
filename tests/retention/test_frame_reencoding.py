"""Frames are what the phone signed until the verdict, and nothing but a picture after it."""

import asyncio
import hashlib
import io
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import select

from backend.identity.face.pool import face_pool
from backend.retention.frame_reencoding import NOTHING, redraw_judged
from backend.roll_call.tables import Submission, SubmissionFrame, Verdict
from biometrics.pool import FacePool
from tests.support.biometrics.faulty_engines import die
from tests.support.biometrics.pictures import encoded
from tests.support.roll_call.scenario import Stage
from tests.support.roll_call.student_phone import Candidate

SECRET = b"GPS 34.7466N 113.6253E"


@dataclass(frozen=True)
class Deadly:
    """The pool, with one picture that its workers do not survive."""

    pool: FacePool
    killer: bytes

    async def redraw(self, data: bytes) -> bytes | None:
        if data == self.killer:
            await asyncio.wrap_future(self.pool.submit(die))
        return await self.pool.redraw(data)


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    await redraw_judged(stage.app_context, 10**6)
    return await stage.activate(stage.school.students[0])


def tagged(frame: bytes) -> bytes:
    """The frame as a phone might send it, with more than a picture inside."""
    return encoded(Image.open(io.BytesIO(frame)).convert("RGB"), "JPEG", comment=SECRET, quality=95)


async def frames_of(stage: Stage, candidate: Candidate) -> list[SubmissionFrame]:
    async with stage.arrange() as session:
        query = select(SubmissionFrame).where(SubmissionFrame.student_id == candidate.student_id)
        return list(await session.scalars(query.order_by(SubmissionFrame.position)))


async def judged(stage: Stage, candidate: Candidate, submission_id: UUID) -> None:
    """The verdict, whatever it says."""
    async with stage.arrange() as session:
        submission = await session.get_one(Submission, submission_id)
        verdict = Verdict(
            submission_id=submission_id,
            roll_call_id=submission.roll_call_id,
            school_id=submission.school_id,
            term_code=submission.term_code,
            student_id=candidate.student_id,
            finding="step_up",
            reasons=["verification_unavailable"],
            trace={},
            at=stage.clock(),
        )
        session.add(verdict)


async def test_judged_frames_lose_everything_but_the_picture(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    sent = [tagged(frame) for frame in await stage.answer(candidate, launched.roll_call.id)]
    submission_id = await stage.check_in(candidate, launched.roll_call.id, sent)
    assert await redraw_judged(stage.app_context) == 0
    assert [
        await stage.app_context.evidence.get(each.evidence_key) for each in await frames_of(stage, candidate)
    ] == sent
    await judged(stage, candidate, submission_id)
    assert await redraw_judged(stage.app_context) == len(sent)
    for frame, before in zip(await frames_of(stage, candidate), sent, strict=True):
        kept = await stage.app_context.evidence.get(frame.evidence_key)
        assert SECRET not in kept
        assert frame.kept_sha256 == hashlib.sha256(kept).digest()
        assert frame.sha256 == hashlib.sha256(before).digest()
        assert Image.open(io.BytesIO(kept)).size == Image.open(io.BytesIO(before)).size
    assert await redraw_judged(stage.app_context) == 0


async def test_what_is_no_picture_is_not_kept_after_the_verdict(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    junk = [f"not a picture {candidate.person} {number}".encode() for number in range(8)]
    await judged(stage, candidate, await stage.check_in(candidate, launched.roll_call.id, junk))
    assert await redraw_judged(stage.app_context) == 8
    frames = await frames_of(stage, candidate)
    assert [frame.kept_sha256 for frame in frames] == [NOTHING] * 8
    with pytest.raises(FileNotFoundError):
        await stage.app_context.evidence.get(frames[0].evidence_key)


async def test_a_picture_that_kills_the_workers_stays_as_sent_and_keeps_no_other_waiting(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    await judged(stage, candidate, await stage.check_in(candidate, launched.roll_call.id))
    pool = stage.app_context.services[face_pool]
    deadly = (await frames_of(stage, candidate))[0]
    frames = len(await frames_of(stage, candidate))
    killer = await stage.app_context.evidence.get(deadly.evidence_key)
    services = {**stage.app_context.services, face_pool: Deadly(pool, killer)}
    assert await redraw_judged(replace(stage.app_context, services=services)) == frames - 1
    assert (await frames_of(stage, candidate))[0].kept_sha256 is None
    assert await stage.app_context.evidence.get(deadly.evidence_key) == killer
