"""Verification: accepted only if every check passes; a check that fails to run is undetermined and never a miss."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import delete, select, update

from backend.core.evidence import EvidenceStore
from backend.demo.poses import plan_burst
from backend.identity.face.pool import face_pool
from backend.identity.tables import FaceTemplateRecord, SelfieRecord, TemplateKey
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.launch.audience import Audience
from backend.roll_call.tables import Submission
from backend.roll_call.verification.worker import verify_batch
from biometrics.liveness.actions import Action
from biometrics.liveness.burst import NOT_DONE
from biometrics.liveness.flash import screen_colour_at
from biometrics.pool import FacePool, FaceWorkerLost
from biometrics.tasks import BurstResult, Shot
from tests.support.pictures import read_picture, seal_and_store
from tests.support.roll_call.scenario import MICROSECOND, TERMS, RollCallScenario, create_scenario
from tests.support.roll_call.student_phone import (
    INSIDE,
    OUTSIDE,
    StudentWithPhone,
    make_fixes,
    render_actions,
    render_burst,
    render_frame,
)

pytestmark = pytest.mark.clause("HN334-3.4")


class LostPool:
    """A face pool whose processes die."""

    async def verify(self, *_: Any) -> Any:
        raise FaceWorkerLost


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


async def test_accepted_verdict_keeps_a_verifiable_trace(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    verdict = await scenario.pass_roll_call(student, launched.roll_call.id)
    assert verdict.engine == "test-pattern/1"
    face, fence = verdict.trace["face"], verdict.trace["fence"]
    assert (face["decision"], face["method"]) == ("accept", "neutral")
    assert face["score"] >= face["accept_from"] > face["reject_below"]
    assert (fence["decision"], fence["inside_at"]) == ("inside", 0.9)
    assert verdict.trace["policy_version"] == launched.roll_call.policy_version
    entry = (await scenario.outcomes(launched.roll_call.id))[student.student_id]
    assert (entry.outcome, entry.method, entry.submission_id) == ("present", "face", verdict.submission_id)
    assert entry.trace == verdict.trace


async def test_trace_lists_requested_actions_and_their_frames(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    challenge = await scenario.issue_challenge(student, launched.roll_call.id)
    verdict = await scenario.pass_roll_call(student, launched.roll_call.id)
    liveness = verdict.trace["liveness"]
    assert (liveness["reasons"], liveness["asked"]) == ([], challenge.actions)
    assert [each["action"] for each in liveness["seen"]] == challenge.actions
    assert [each["frames"][0] for each in liveness["seen"]] == sorted(
        each["frames"][0] for each in liveness["seen"]
    )
    assert 0 in liveness["at_rest"]
    assert liveness["thresholds"]["actions"]["closed_eyes"] == 0.6
    assert liveness["answered_after_s"] == 0


# --- the challenge ---


async def test_face_without_action_does_not_answer_the_challenge(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    still = render_burst(student.person)
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, still))
    assert (verdict.finding, verdict.reasons[0]) == ("step_up", "challenge_unanswered")
    assert {NOT_DONE[Action(each)].code for each in verdict.trace["liveness"]["asked"]} == set(
        verdict.reasons[1:]
    )
    assert await scenario.outcome(launched.roll_call.id, student) is None


async def test_actions_in_another_order_do_not_answer_the_challenge(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    unable = Action.CLOSE_EYES, Action.OPEN_MOUTH
    challenge = await scenario.issue_challenge(student, launched.roll_call.id, *unable)
    other = [Action.TURN_LEFT, Action.TURN_RIGHT, Action.TURN_LEFT][
        challenge.actions[0] == Action.TURN_LEFT :
    ]
    frames = render_actions(student.person, other[: len(challenge.actions)])
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, frames))
    assert verdict.finding == "step_up"
    assert verdict.reasons[0] == "challenge_unanswered"


async def test_earlier_answer_does_not_answer_the_next_challenge(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    challenge = await scenario.issue_challenge(
        student, launched.roll_call.id, Action.CLOSE_EYES, Action.OPEN_MOUTH
    )
    recorded = render_actions(student.person, [Action.CLOSE_EYES, Action.OPEN_MOUTH])
    assert set(challenge.actions).isdisjoint({Action.CLOSE_EYES, Action.OPEN_MOUTH})
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, recorded))
    assert verdict.finding == "step_up"
    assert {"challenge_unanswered", "head_not_turned_left", "head_not_turned_right"} <= set(verdict.reasons)


async def test_slow_answer_asks_for_step_up(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    launched = await scenario.launch()
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, pace_ms=2900))
    assert verdict.finding == "step_up"
    assert {"challenge_unanswered", "answer_too_slow"} <= set(verdict.reasons)


async def test_other_face_without_answer_asks_for_step_up(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    verdict = await scenario.verify(
        await scenario.check_in(student, launched.roll_call.id, render_burst(student.person + 1))
    )
    assert verdict.finding == "step_up"
    assert {"challenge_unanswered", "face_unsure"} <= set(verdict.reasons)


@pytest.mark.clause("R8")
async def test_three_uncertain_results_refer_to_counselor_without_miss(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    for attempt in range(3):
        assert await scenario.load_refusals(student) == []
        still = render_burst(student.person, first=10 * attempt)
        assert (
            await scenario.verify(await scenario.check_in(student, launched.roll_call.id, still))
        ).finding == "step_up"
    assert await scenario.load_refusals(student) == [("verification", "step_ups_exhausted")]
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert isinstance(answer, RecordedRefusal)
    assert answer.error.code == "step_ups_exhausted"
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, student) == ("undetermined", "challenge_unanswered")


async def test_poor_pictures_use_up_no_attempt(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    launched = await scenario.launch()
    for attempt in range(4):
        junk = [
            b"\xff\xd8\xff no picture %d %d %d" % (student.person, attempt, number) for number in range(8)
        ]
        verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, junk))
        assert verdict.reasons[0] == "face_unusable"
    assert (await scenario.pass_roll_call(student, launched.roll_call.id)).finding == "accepted"


# --- reused pictures ---


def re_encode(data: bytes) -> bytes:
    """Return another file with the same picture."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as render_frame:
        render_frame.save(buffer, "PNG", compress_level=9)
    assert buffer.getvalue() != data
    return buffer.getvalue()


async def test_pictures_of_an_earlier_check_in_ask_for_step_up(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    first, second = [await scenario.launch(scenario.registrar, kind="school_own") for _ in range(2)]
    assert (await scenario.pass_roll_call(student, first.roll_call.id)).finding == "accepted"
    again = [re_encode(frame) for frame in await scenario.answer(student, second.roll_call.id)]
    verdict = await scenario.verify(await scenario.check_in(student, second.roll_call.id, again))
    assert verdict.finding == "step_up"
    # The distance of the means depends on which frames show an action, and the actions are drawn again.
    assert verdict.reasons[:2] == ["picture_seen_before", "like_earlier_picture"]
    assert set(verdict.reasons[2:]) <= {"like_earlier_selfie"}
    reuse = verdict.trace["reuse"]
    assert reuse["kept"] == 1
    assert reuse["nearest_selfie"] < 0.1


async def test_new_pictures_of_the_same_person_are_accepted(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    first, second = [await scenario.launch(scenario.registrar, kind="school_own") for _ in range(2)]
    await scenario.pass_roll_call(student, first.roll_call.id)
    submission_id = await scenario.check_in(student, second.roll_call.id, first=100)
    assert (await scenario.verify(submission_id)).finding == "accepted"


async def test_only_accepted_selfies_are_stored(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    still = render_burst(student.person)
    await scenario.verify(await scenario.check_in(student, launched.roll_call.id, still))
    accepted = await scenario.check_in(student, launched.roll_call.id, first=50)
    await scenario.verify(accepted)
    async with scenario.owner_transaction() as session:
        stored = await session.scalars(
            select(SelfieRecord.submission_id).where(SelfieRecord.student_id == student.student_id)
        )
        assert stored.all() == [accepted]


# --- flash colours ---


class RecordingPool:
    """A face pool that stores the burst it received."""

    def __init__(self, pool: FacePool) -> None:
        self.pool = pool
        self.burst: Sequence[Shot] = ()

    async def verify(self, render_burst: Sequence[Shot], *rest: Any) -> BurstResult:
        self.burst = render_burst
        return await self.pool.verify(render_burst, *rest)


async def test_flash_is_checked_only_if_the_phone_claims_it(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    recording_pool = RecordingPool(scenario.app_context.services[face_pool])
    scenario.app_context.services[face_pool] = recording_pool
    await scenario.verify(
        await scenario.check_in(student, launched.roll_call.id, render_burst(student.person))
    )
    assert {shot.screen for shot in recording_pool.burst} == {None}
    challenge = await scenario.issue_challenge(student, launched.roll_call.id)
    flashed = await scenario.check_in(
        student, launched.roll_call.id, first=50, pace_ms=250, claims={"flash": True}
    )
    assert (await scenario.verify(flashed)).finding == "accepted"
    shown = [
        screen_colour_at(challenge.flash, 500, 250 * number) for number in range(len(recording_pool.burst))
    ]
    assert [shot.screen for shot in recording_pool.burst] == shown
    assert shown[0] == shown[1] != shown[2]


# --- cues ---


async def test_action_before_its_cue_asks_for_a_second_check(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    """THREATS, requirement 14: a film of an earlier answer does not wait for the cues of this challenge."""
    launched = await scenario.launch()
    early = await scenario.verify(
        await scenario.check_in(student, launched.roll_call.id, claims={"cues": True})
    )
    assert early.finding == "step_up"
    assert early.reasons == ["presence_doubtful", "action_before_cue"]
    assert all(each["within_ms"] < 150 for each in early.trace["liveness"]["reactions"])


async def test_cues_are_compared_only_if_the_phone_showed_them(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id))
    assert verdict.finding == "accepted"
    assert verdict.trace["liveness"]["reactions"] == []


async def test_action_after_its_cue_passes(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    launched = await scenario.launch()
    challenge = await scenario.issue_challenge(student, launched.roll_call.id)
    plan = plan_burst(challenge.actions)
    frames = render_actions(student.person, challenge.actions)
    starts = [at for at, action in enumerate(plan) if action and plan[at - 1] != action]
    begins = {start: cue + 350 for start, cue in zip(starts, challenge.cues_ms, strict=True)}
    times = [0]
    for position in range(1, len(frames)):
        times.append(begins.get(position, times[-1] + 400))
    submission = await scenario.check_in(
        student, launched.roll_call.id, frames, claims={"cues": True}, times_ms=times
    )
    assert (await scenario.verify(submission)).finding == "accepted"


async def test_demonstration_takes_doubts_about_presence_as_advice(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    scenario.app_context = replace(
        scenario.app_context,
        settings=scenario.app_context.settings.model_copy(update={"face_demonstration": True}),
    )
    verdict = await scenario.verify(
        await scenario.check_in(student, launched.roll_call.id, claims={"cues": True})
    )
    assert verdict.finding == "accepted"
    assert verdict.trace["presence"] == {"advisory": True, "doubts": ["action_before_cue"]}


# --- concurrency and location ---


async def test_concurrent_verification_writes_one_verdict_and_outcome(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    lease = await scenario.lease_submission(submission_id)
    written = await asyncio.gather(*(verify_batch(scenario.app_context, [lease], TERMS) for _ in range(3)))
    assert sorted(written) == [0, 0, 1]
    entry = (await scenario.outcomes(launched.roll_call.id))[student.student_id]
    assert (entry.outcome, entry.seq) == ("present", 1)


@pytest.mark.clause("R9")
async def test_any_filed_site_of_the_school_is_accepted(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    await scenario.file_site()
    launched = await scenario.launch()
    assert (await scenario.pass_roll_call(student, launched.roll_call.id)).finding == "accepted"


@pytest.mark.parametrize(
    ("sent", "finding", "reason"),
    [
        (make_fixes(OUTSIDE), "rejected", "outside_site"),
        (make_fixes((INSIDE[0] - 0.0025, INSIDE[1]), accuracy_m=40.0), "step_up", "location_uncertain"),
        (make_fixes(accuracy_m=900.0), "step_up", "location_uncertain"),
    ],
)
async def test_fence_takes_accuracy_into_account(
    scenario: RollCallScenario,
    student: StudentWithPhone,
    sent: list[dict[str, Any]],
    finding: str,
    reason: str,
) -> None:
    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id, fixes=sent)
    verdict = await scenario.verify(submission_id)
    assert verdict.finding == finding
    assert verdict.reasons[0] == reason


async def test_picture_without_face_asks_for_step_up(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    junk = [b"\xff\xd8\xff not a picture %d %d" % (student.person, number) for number in range(8)]
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, junk))
    assert (verdict.finding, verdict.reasons[0]) == ("step_up", "face_unusable")


async def test_two_people_in_one_burst_are_not_accepted(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    mixed = [*(await scenario.answer(student, launched.roll_call.id)), render_frame(student.person + 1, 90)]
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, mixed))
    assert verdict.finding == "step_up"
    assert "different_people" in verdict.reasons


async def test_copied_frames_are_rejected_and_the_original_is_accepted(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    copier = await scenario.activate(scenario.school.students[1])
    frames = await scenario.answer(student, launched.roll_call.id)
    original = await scenario.check_in(student, launched.roll_call.id, frames)
    scenario.clock.at += MICROSECOND
    copy = await scenario.check_in(copier, launched.roll_call.id, frames)
    assert (await scenario.verify(copy)).reasons == ["frame_reused"]
    assert (await scenario.verify(original)).finding == "accepted"


async def test_earlier_envelope_does_not_make_copied_frames_original(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    copier = await scenario.activate(scenario.school.students[1])
    frames = await scenario.answer(student, launched.roll_call.id)
    ahead = await scenario.submit(copier, launched.roll_call.id, frames)
    scenario.clock.at += MICROSECOND
    assert (
        await scenario.verify(await scenario.check_in(student, launched.roll_call.id, frames))
    ).finding == ("accepted")
    scenario.clock.at += MICROSECOND
    for position, data in enumerate(frames):
        await scenario.upload(copier, ahead.submission_id, position, data)
    assert (await scenario.verify(ahead.submission_id)).reasons == ["frame_reused"]


async def test_frames_copied_from_another_school_are_rejected(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    frames = render_burst(student.person)
    await scenario.check_in(student, launched.roll_call.id, frames)
    other = await create_scenario(
        scenario.app_context, scenario.owner, scenario.app_context.services[face_pool]
    )
    other.clock.at = scenario.clock() + timedelta(seconds=1)
    copier = await other.activate(other.school.students[0])
    elsewhere = await other.launch()
    copy = await other.check_in(copier, elsewhere.roll_call.id, frames)
    assert (await other.verify(copy)).reasons == ["frame_reused"]


async def test_school_without_filed_site_is_undetermined(scenario: RollCallScenario) -> None:

    sister = scenario.world.sister
    student = await scenario.activate(sister.students[0], school=sister)
    launched = await scenario.launch(audience=Audience(unit_ids=(sister.id,)))
    assert launched.schools_without_site == 1
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    verdict = await scenario.verify(submission_id, sister)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["site_not_filed"])


@pytest.mark.clause("R8")
async def test_lost_face_process_is_undetermined_and_no_miss(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    scenario.app_context.services[face_pool] = LostPool()
    verdict = await scenario.verify(submission_id)
    assert verdict.finding == "undetermined"
    assert verdict.reasons == ["verification_unavailable", "face_worker_lost"]
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    assert (await scenario.settle(launched.roll_call)).figures["undetermined"] == 1


@pytest.mark.clause("R8")
async def test_lost_evidence_file_is_undetermined(
    scenario: RollCallScenario, student: StudentWithPhone, tmp_path: Path
) -> None:
    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    empty = replace(scenario.app_context, evidence=EvidenceStore.local(tmp_path))
    await verify_batch(empty, [await scenario.lease_submission(submission_id)], TERMS)
    verdict = await scenario.verdict(submission_id)
    assert (verdict.finding, verdict.reasons) == (
        "undetermined",
        ["verification_unavailable", "frame_lost"],
    )


async def test_altered_frames_in_the_evidence_store_are_undetermined(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    absent = render_burst(student.person + 1)
    submission_id = await scenario.check_in(student, launched.roll_call.id, absent)
    async with scenario.owner_transaction() as session:
        submission = await session.get_one(Submission, submission_id)
    for position, data in enumerate(render_burst(student.person)):
        picture = submission.frame(position)
        assert await read_picture(scenario.app_context, picture) == absent[position]
        await seal_and_store(scenario.app_context, picture, data)
    verdict = await scenario.verify(submission_id)
    assert (verdict.finding, verdict.reasons) == (
        "undetermined",
        ["verification_unavailable", "frame_altered"],
    )


@pytest.mark.parametrize("damage", ["shredded", "altered"])
async def test_missing_or_unreadable_template_is_undetermined(
    scenario: RollCallScenario, student: StudentWithPhone, damage: str
) -> None:

    launched = await scenario.launch()
    submission_id = await scenario.check_in(student, launched.roll_call.id)
    damage_statement: Any = (
        delete(TemplateKey).where(TemplateKey.student_id == student.student_id)
        if damage == "shredded"
        else update(FaceTemplateRecord)
        .where(FaceTemplateRecord.student_id == student.student_id)
        .values(sealed=b"DMT1" + bytes(60))
    )
    async with scenario.owner_transaction() as session:
        await session.execute(damage_statement)
    verdict = await scenario.verify(submission_id)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["verification_unavailable"])
