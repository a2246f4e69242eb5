"""Challenges: drawn by the server, kept while unanswered, limited in number, and fair to students who cannot do them."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from backend.roll_call.check_in.evaluate import Received
from backend.roll_call.eligibility import Refused
from backend.roll_call.reason_texts import what_to_do
from backend.roll_call.tables import Challenge
from biometrics.liveness.actions import Action
from biometrics.liveness.flash import screen_colour_at
from tests.support.roll_call.scenario import MICROSECOND, Stage
from tests.support.roll_call.student_phone import OUTSIDE, Candidate, acted, burst, envelope, fixes

pytestmark = pytest.mark.clause("HN334-3.4")

LIFE = timedelta(seconds=180)
DRAWS = 10


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def recorded_refusal(stage: Stage, candidate: Candidate, answer: object) -> str:
    """Assert that the answer is a refusal and the newest one recorded; returns its code."""
    assert isinstance(answer, Refused), answer
    assert (await stage.refusals(candidate))[-1] == ("challenge", answer.error.code)
    return answer.error.code


async def exhaust_challenges(stage: Stage, candidate: Candidate, roll_call_id: object) -> None:
    """Request the maximum number of challenges; only the last one has not expired."""
    for _ in range(DRAWS):
        stage.clock.at += LIFE + MICROSECOND
        assert isinstance(await stage.challenge(candidate, roll_call_id), Challenge)  # type: ignore[arg-type]


async def test_two_or_three_actions_are_drawn_without_repetition(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    drawn = []
    for _ in range(DRAWS):
        drawn.append((await stage.challenged(candidate, launched.roll_call.id)).actions)
        stage.clock.at += LIFE + MICROSECOND
    for actions in drawn:
        assert 2 <= len(actions) <= 3
        assert set(actions) <= set(Action)
        assert all(one != other for one, other in pairwise(actions))
    assert len({tuple(actions) for actions in drawn}) > 1


async def test_flash_colours_are_drawn_without_repetition(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    flash = (await stage.challenged(candidate, launched.roll_call.id)).flash
    assert len(flash) == 8
    assert all(one != other for one, other in pairwise(flash))
    assert (
        screen_colour_at(flash, 500, 0)
        == screen_colour_at(flash, 500, 4000)
        == screen_colour_at(flash, 500, 499)
    )
    assert screen_colour_at([], 500, 0) is None


# --- repeated requests ---


async def test_fresh_unanswered_challenge_is_returned_again(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    stage.clock.at += LIFE / 2
    again = await stage.challenged(candidate, launched.roll_call.id)
    assert (again.nonce, again.actions) == (first.nonce, first.actions)


async def test_request_before_expiry_changes_nonce_but_not_actions(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    for _ in range(4):
        stage.clock.at += LIFE / 2 + MICROSECOND
        again = await stage.challenged(candidate, launched.roll_call.id)
        assert again.nonce != first.nonce
        assert again.actions == first.actions


async def test_answered_challenge_is_followed_by_a_new_one(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await stage.nonce(candidate, launched.roll_call.id)
    await stage.submit(candidate, launched.roll_call.id)
    second = await stage.nonce(candidate, launched.roll_call.id)
    assert second != first
    assert await stage.nonce(candidate, launched.roll_call.id) == second


async def test_new_phone_gets_its_own_nonce_with_the_same_actions(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    async with stage.arrange() as session:
        await session.execute(
            update(Challenge).where(Challenge.nonce == first.nonce).values(key_thumbprint="an earlier phone")
        )
    again = await stage.challenged(candidate, launched.roll_call.id)
    assert again.nonce != first.nonce
    assert again.actions == first.actions


async def test_number_of_challenges_is_limited(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    await exhaust_challenges(stage, candidate, launched.roll_call.id)
    assert isinstance(await stage.challenge(candidate, launched.roll_call.id), Challenge)
    stage.clock.at += LIFE + MICROSECOND
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await recorded_refusal(stage, candidate, answer) == "challenges_exhausted"


@pytest.mark.clause("HN334-3.4")
async def test_challenge_accepts_only_one_envelope(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    challenge = await stage.challenged(candidate, launched.roll_call.id)
    sent = [
        await stage.send(
            candidate,
            launched.roll_call.id,
            envelope(candidate, launched.roll_call.id, challenge.nonce, frames),
        )
        for frames in (burst(candidate.person), acted(candidate.person, challenge.actions, first=20))
    ]
    first, second = sent
    assert isinstance(first, Received)
    assert isinstance(second, Received)
    assert (second.submission_id, second.first) == (first.submission_id, False)
    assert await stage.submissions(candidate) == 1


# --- actions that a student cannot do ---


async def test_impossible_actions_are_not_drawn(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    for _ in range(DRAWS):
        challenge = await stage.challenged(
            candidate, launched.roll_call.id, Action.CLOSE_EYES, Action.TURN_LEFT
        )
        assert set(challenge.actions) == {Action.OPEN_MOUTH, Action.TURN_RIGHT}
        assert challenge.cannot == [Action.CLOSE_EYES, Action.TURN_LEFT]
        stage.clock.at += LIFE + MICROSECOND


async def test_impossible_actions_apply_to_the_whole_roll_call(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    await stage.challenged(candidate, launched.roll_call.id, Action.OPEN_MOUTH)
    for _ in range(5):
        stage.clock.at += LIFE + MICROSECOND
        later = await stage.challenged(candidate, launched.roll_call.id)
        assert Action.OPEN_MOUTH not in later.actions
        assert later.cannot == [Action.OPEN_MOUTH]


async def test_excluding_an_action_that_was_not_drawn_keeps_the_actions(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    unasked = next(action for action in Action if action not in first.actions)
    again = await stage.challenged(candidate, launched.roll_call.id, unasked)
    assert again.nonce != first.nonce
    assert (again.actions, again.cannot) == (first.actions, [unasked])


async def test_excluding_a_drawn_action_draws_new_actions(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    unable = Action(first.actions[0])
    again = await stage.challenged(candidate, launched.roll_call.id, unable)
    assert again.nonce != first.nonce
    assert unable not in again.actions


@pytest.mark.parametrize("excluded", [list(Action), list(Action)[:3]])
async def test_student_with_too_few_actions_is_referred_to_counselor(
    stage: Stage, candidate: Candidate, excluded: list[Action]
) -> None:
    launched = await stage.launch()
    answer = await stage.challenge(candidate, launched.roll_call.id, *excluded)
    assert await recorded_refusal(stage, candidate, answer) == "challenge_actions_too_few"
    assert isinstance(answer, Refused)
    assert "辅导员" in answer.error.sentence("zh")
    async with stage.arrange() as session:
        stored = select(Challenge.nonce).where(Challenge.student_id == candidate.student_id)
        assert await session.scalar(stored) is None


# --- a referral is never a miss (THREATS 15, 17) ---


@pytest.mark.clause("R8")
async def test_referred_student_is_undetermined_at_the_close(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    await stage.challenge(candidate, launched.roll_call.id, *Action)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await stage.settle(launched.roll_call)
    assert await stage.outcome(launched.roll_call.id, candidate) == (
        "undetermined",
        "non_face_route_unattended",
    )


@pytest.mark.clause("R8")
async def test_referred_student_is_undetermined_even_after_a_rejection(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    outside = await stage.check_in(candidate, launched.roll_call.id, fixes=fixes(OUTSIDE))
    assert (await stage.verify(outside)).reasons[0] == "outside_site"
    await stage.challenge(candidate, launched.roll_call.id, *Action)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await stage.settle(launched.roll_call)
    assert await stage.outcome(launched.roll_call.id, candidate) == (
        "undetermined",
        "non_face_route_unattended",
    )


def test_referred_student_is_advised_to_see_counselor_while_open() -> None:
    assert what_to_do("open", "owed", None, sent_to_a_person=True).code == "see_counselor"
    assert what_to_do("open", "owed", "present", sent_to_a_person=True).code == "present"
    assert what_to_do("closed", "owed", None, sent_to_a_person=True).code == "closed"
