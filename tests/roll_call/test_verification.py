"""Verification: present only if every part says so; a part that fails leaves it open, and never makes a miss."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from backend.core.evidence import EvidenceStore
from backend.identity.tables import FaceTemplate, TemplateKey
from backend.roll_call.audience import Audience
from backend.roll_call.verification import verify_submission
from biometrics.pool import FaceWorkerLost
from tests.roll_call.stage import (
    INSIDE,
    MICROSECOND,
    OUTSIDE,
    Candidate,
    Stage,
    burst,
    fixes,
    job_of,
    picture,
    staged,
)

pytestmark = pytest.mark.clause("HN334-3.4")


class LostPool:
    """A pool whose processes die."""

    async def judge(self, *_: Any) -> Any:
        raise FaceWorkerLost


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def test_presence_keeps_a_trace_that_a_person_can_check(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    verdict = await stage.pass_check(candidate, launched.roll_call.id)
    assert verdict.engine == "test-pattern/1"
    face, fence = verdict.trace["face"], verdict.trace["fence"]
    assert (face["decision"], face["accept_at"], face["reject_at"]) == ("accept", 0.1, 0.5)
    assert face["score"] <= face["accept_at"]
    assert (fence["decision"], fence["inside_at"]) == ("inside", 0.9)
    assert verdict.trace["policy_version"] == launched.roll_call.policy_version
    entry = (await stage.outcomes(launched.roll_call.id))[candidate.student_id]
    assert (entry.outcome, entry.method, entry.submission_id) == ("present", "face", verdict.submission_id)
    assert entry.trace == verdict.trace


async def test_judging_twice_at_once_writes_one_verdict_and_one_outcome(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    await asyncio.gather(*(stage.verify(submission_id) for _ in range(3)))
    entry = (await stage.outcomes(launched.roll_call.id))[candidate.student_id]
    assert (entry.outcome, entry.seq) == ("present", 1)


@pytest.mark.clause("R9")
async def test_any_of_a_schools_filed_sites_will_do(stage: Stage, candidate: Candidate) -> None:
    await stage.file_site()
    launched = await stage.launch()
    assert (await stage.pass_check(candidate, launched.roll_call.id)).finding == "accepted"


@pytest.mark.parametrize(
    ("sent", "finding", "reason"),
    [
        (fixes(OUTSIDE), "rejected", "outside_site"),
        (fixes((INSIDE[0] - 0.0025, INSIDE[1]), accuracy_m=40.0), "step_up", "location_uncertain"),
        (fixes(accuracy_m=900.0), "step_up", "location_uncertain"),
    ],
)
async def test_the_fence_decides_by_the_accuracy(
    stage: Stage, candidate: Candidate, sent: list[dict[str, Any]], finding: str, reason: str
) -> None:
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id, fixes=sent)
    verdict = await stage.verify(submission_id)
    assert verdict.finding == finding
    assert verdict.reasons[0] == reason


async def test_a_picture_without_a_face_asks_for_another_try(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    junk = [f"not a picture {candidate.person} {number}".encode() for number in range(3)]
    verdict = await stage.verify(await stage.check_in(candidate, launched.roll_call.id, junk))
    assert (verdict.finding, verdict.reasons[0]) == ("step_up", "face_unusable")


async def test_two_people_in_one_burst_are_not_accepted(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    mixed = [*burst(candidate.person, count=2), picture(candidate.person + 1, 9)]
    verdict = await stage.verify(await stage.check_in(candidate, launched.roll_call.id, mixed))
    assert verdict.finding == "step_up"
    assert "different_people" in verdict.reasons


async def test_frames_of_an_earlier_check_in_are_refused_and_the_original_stands(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    copier = await stage.activate(stage.school.students[1])
    frames = burst(candidate.person)
    original = await stage.check_in(candidate, launched.roll_call.id, frames)
    stage.clock.at += MICROSECOND
    copy = await stage.check_in(copier, launched.roll_call.id, frames)
    assert (await stage.verify(copy)).reasons == ["frame_reused"]
    assert (await stage.verify(original)).finding == "accepted"


async def test_an_envelope_sent_ahead_does_not_make_its_copied_frames_the_original(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    copier = await stage.activate(stage.school.students[1])
    frames = burst(candidate.person)
    ahead = await stage.submit(copier, launched.roll_call.id, frames)
    stage.clock.at += MICROSECOND
    assert (await stage.verify(await stage.check_in(candidate, launched.roll_call.id, frames))).finding == (
        "accepted"
    )
    stage.clock.at += MICROSECOND
    for position, data in enumerate(frames):
        await stage.upload(copier, ahead.submission_id, position, data)
    assert (await stage.verify(ahead.submission_id)).reasons == ["frame_reused"]


async def test_frames_of_a_foreign_school_are_noticed_too(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    frames = burst(candidate.person)
    await stage.check_in(candidate, launched.roll_call.id, frames)
    other = await staged(stage.runtime, stage.owner, stage.runtime.extras["face_pool"])
    other.clock.at = stage.clock() + timedelta(seconds=1)
    copier = await other.activate(other.school.students[0])
    elsewhere = await other.launch()
    copy = await other.check_in(copier, elsewhere.roll_call.id, frames)
    assert (await other.verify(copy)).reasons == ["frame_reused"]


async def test_a_school_without_a_filed_site_leaves_its_students_undetermined(stage: Stage) -> None:

    sister = stage.world.sister
    candidate = await stage.activate(sister.students[0], school=sister)
    launched = await stage.launch(audience=Audience(unit_ids=(sister.id,)))
    assert launched.schools_without_site == 1
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    verdict = await stage.verify(submission_id, sister)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["site_not_filed"])


@pytest.mark.clause("R8")
async def test_a_lost_face_process_leaves_it_undetermined_and_is_no_miss(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    stage.runtime.extras["face_pool"] = LostPool()
    verdict = await stage.verify(submission_id)
    assert verdict.finding == "undetermined"
    assert verdict.reasons == ["verification_unavailable", "face_worker_lost"]
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    assert (await stage.settle(launched.roll_call)).figures["undetermined"] == 1


@pytest.mark.clause("R8")
async def test_a_lost_evidence_file_leaves_it_undetermined(
    stage: Stage, candidate: Candidate, tmp_path: Path
) -> None:
    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    empty = replace(stage.runtime, evidence=EvidenceStore.local(tmp_path))
    await verify_submission(job_of(empty), submission_id=str(submission_id), school_id=str(stage.school.id))
    verdict = await stage.verdict(submission_id)
    assert (verdict.finding, verdict.reasons) == (
        "undetermined",
        ["verification_unavailable", "frame_lost"],
    )


async def test_frames_that_were_exchanged_in_the_evidence_store_judge_nobody(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    absent = burst(candidate.person + 1)
    submission_id = await stage.check_in(candidate, launched.roll_call.id, absent)
    for position, data in enumerate(burst(candidate.person)):
        key = f"frames/{launched.roll_call.id}/{submission_id}/{position}"
        assert await stage.runtime.evidence.get(key) == absent[position]
        await stage.runtime.evidence.put(key, data)
    verdict = await stage.verify(submission_id)
    assert (verdict.finding, verdict.reasons) == (
        "undetermined",
        ["verification_unavailable", "frame_altered"],
    )


@pytest.mark.parametrize("damage", ["shredded", "altered"])
async def test_a_template_that_is_gone_or_unreadable_judges_nobody(
    stage: Stage, candidate: Candidate, damage: str
) -> None:

    launched = await stage.launch()
    submission_id = await stage.check_in(candidate, launched.roll_call.id)
    harm: Any = (
        delete(TemplateKey).where(TemplateKey.student_id == candidate.student_id)
        if damage == "shredded"
        else update(FaceTemplate)
        .where(FaceTemplate.student_id == candidate.student_id)
        .values(sealed=b"DMT1" + bytes(60))
    )
    async with stage.arrange() as session:
        await session.execute(harm)
    verdict = await stage.verify(submission_id)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["verification_unavailable"])
