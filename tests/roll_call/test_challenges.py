"""Challenges: drawn by the server, kept while unanswered, bounded in number, and never a trap for who cannot do them."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from backend.roll_call.check_in.challenges import shown_at
from backend.roll_call.check_in.evaluate import Received
from backend.roll_call.eligibility import Refused
from backend.roll_call.reason_texts import what_to_do
from backend.roll_call.tables import Challenge
from biometrics.liveness.actions import Action
from tests.support.roll_call.scenario import MICROSECOND, Stage
from tests.support.roll_call.student_phone import OUTSIDE, Candidate, acted, burst, envelope, fixes

pytestmark = pytest.mark.clause("HN334-3.4")

LIFE = timedelta(seconds=180)
DRAWS = 10


@pytest.fixture
async def candidate(stage: Stage) -> Candidate:
    return await stage.activate(stage.school.students[0])


async def refused(stage: Stage, candidate: Candidate, answer: object) -> str:
    """The code that was answered, which is the newest one kept."""
    assert isinstance(answer, Refused), answer
    assert (await stage.refusals(candidate))[-1] == ("challenge", answer.error.code)
    return answer.error.code


async def use_up(stage: Stage, candidate: Candidate, roll_call_id: object) -> None:
    """Let every challenge of the roll call expire but for the last."""
    for _ in range(DRAWS):
        stage.clock.at += LIFE + MICROSECOND
        assert isinstance(await stage.challenge(candidate, roll_call_id), Challenge)  # type: ignore[arg-type]


async def test_two_or_three_actions_are_drawn_none_twice_in_a_row(stage: Stage, candidate: Candidate) -> None:
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


async def test_the_colours_for_the_screen_are_drawn_none_twice_in_a_row(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    flash = (await stage.challenged(candidate, launched.roll_call.id)).flash
    assert len(flash) == 8
    assert all(one != other for one, other in pairwise(flash))
    assert shown_at(flash, 500, 0) == shown_at(flash, 500, 4000) == shown_at(flash, 500, 499)
    assert shown_at([], 500, 0) is None


# --- asking again ---


async def test_an_unanswered_challenge_is_given_again_while_it_is_fresh(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    stage.clock.at += LIFE / 2
    again = await stage.challenged(candidate, launched.roll_call.id)
    assert (again.nonce, again.actions) == (first.nonce, first.actions)


async def test_asking_again_before_the_end_changes_the_nonce_and_not_the_actions(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    for _ in range(4):
        stage.clock.at += LIFE / 2 + MICROSECOND
        again = await stage.challenged(candidate, launched.roll_call.id)
        assert again.nonce != first.nonce
        assert again.actions == first.actions


async def test_an_answered_challenge_is_followed_by_a_new_one(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await stage.nonce(candidate, launched.roll_call.id)
    await stage.submit(candidate, launched.roll_call.id)
    second = await stage.nonce(candidate, launched.roll_call.id)
    assert second != first
    assert await stage.nonce(candidate, launched.roll_call.id) == second


async def test_another_phone_gets_a_nonce_of_its_own_for_the_same_actions(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    async with stage.arrange() as session:
        await session.execute(
            update(Challenge).where(Challenge.nonce == first.nonce).values(key_thumbprint="an earlier phone")
        )
    again = await stage.challenged(candidate, launched.roll_call.id)
    assert again.nonce != first.nonce
    assert again.actions == first.actions


async def test_there_are_only_so_many_challenges_and_then_a_person(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    await use_up(stage, candidate, launched.roll_call.id)
    assert isinstance(await stage.challenge(candidate, launched.roll_call.id), Challenge)
    stage.clock.at += LIFE + MICROSECOND
    answer = await stage.challenge(candidate, launched.roll_call.id)
    assert await refused(stage, candidate, answer) == "challenges_exhausted"


@pytest.mark.clause("HN334-3.4")
async def test_a_challenge_is_answered_once(stage: Stage, candidate: Candidate) -> None:
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


# --- what a student cannot do ---


async def test_what_a_student_cannot_do_is_not_asked_of_them(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    for _ in range(DRAWS):
        challenge = await stage.challenged(
            candidate, launched.roll_call.id, Action.CLOSE_EYES, Action.TURN_LEFT
        )
        assert set(challenge.actions) == {Action.OPEN_MOUTH, Action.TURN_RIGHT}
        assert challenge.cannot == [Action.CLOSE_EYES, Action.TURN_LEFT]
        stage.clock.at += LIFE + MICROSECOND


async def test_what_was_said_holds_for_the_whole_roll_call(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch(closes_at=stage.clock() + timedelta(hours=2))
    await stage.challenged(candidate, launched.roll_call.id, Action.OPEN_MOUTH)
    for _ in range(5):
        stage.clock.at += LIFE + MICROSECOND
        later = await stage.challenged(candidate, launched.roll_call.id)
        assert Action.OPEN_MOUTH not in later.actions
        assert later.cannot == [Action.OPEN_MOUTH]


async def test_saying_what_was_not_asked_anyway_draws_nothing_new(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    unasked = next(action for action in Action if action not in first.actions)
    again = await stage.challenged(candidate, launched.roll_call.id, unasked)
    assert again.nonce != first.nonce
    assert (again.actions, again.cannot) == (first.actions, [unasked])


async def test_an_asked_action_that_cannot_be_done_is_drawn_anew(stage: Stage, candidate: Candidate) -> None:
    launched = await stage.launch()
    first = await stage.challenged(candidate, launched.roll_call.id)
    unable = Action(first.actions[0])
    again = await stage.challenged(candidate, launched.roll_call.id, unable)
    assert again.nonce != first.nonce
    assert unable not in again.actions


@pytest.mark.parametrize("said", [list(Action), list(Action)[:3]])
async def test_whoever_can_do_too_little_is_sent_to_a_person(
    stage: Stage, candidate: Candidate, said: list[Action]
) -> None:
    launched = await stage.launch()
    answer = await stage.challenge(candidate, launched.roll_call.id, *said)
    assert await refused(stage, candidate, answer) == "challenge_actions_too_few"
    assert isinstance(answer, Refused)
    assert "辅导员" in answer.error.sentence("zh")
    async with stage.arrange() as session:
        kept = select(Challenge.nonce).where(Challenge.student_id == candidate.student_id)
        assert await session.scalar(kept) is None


# --- nobody is missed for it (THREATS 15, 17) ---


@pytest.mark.clause("R8")
async def test_whoever_was_sent_to_a_person_is_undetermined_at_the_close(
    stage: Stage, candidate: Candidate
) -> None:
    launched = await stage.launch()
    await stage.challenge(candidate, launched.roll_call.id, *Action)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await stage.settle(launched.roll_call)
    assert await stage.outcome(launched.roll_call.id, candidate) == (
        "undetermined",
        "non_face_route_unattended",
    )


@pytest.mark.clause("R8")
async def test_not_even_after_a_rejection(stage: Stage, candidate: Candidate) -> None:
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


def test_whoever_was_sent_to_a_person_is_told_so_while_the_window_is_open() -> None:
    assert what_to_do("open", "owed", None, sent_to_a_person=True).code == "see_counselor"
    assert what_to_do("open", "owed", "present", sent_to_a_person=True).code == "present"
    assert what_to_do("closed", "owed", None, sent_to_a_person=True).code == "closed"
