"""Challenges: drawn by the server, kept while unanswered, limited in number, and fair to students who cannot do them."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from backend.roll_call.check_in.evaluate import Acknowledgement
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.reason_texts import what_to_do
from backend.roll_call.tables import Challenge
from biometrics.liveness.actions import Action
from biometrics.liveness.flash import screen_colour_at
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario
from tests.support.roll_call.student_phone import (
    OUTSIDE,
    StudentWithPhone,
    envelope,
    make_fixes,
    render_actions,
    render_burst,
)

pytestmark = pytest.mark.clause("HN334-3.4")

LIFE = timedelta(seconds=180)
DRAWS = 10


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


async def recorded_refusal(scenario: RollCallScenario, student: StudentWithPhone, answer: object) -> str:
    """Assert that the answer is a refusal and the newest one recorded; returns its code."""
    assert isinstance(answer, RecordedRefusal), answer
    assert (await scenario.load_refusals(student))[-1] == ("challenge", answer.error.code)
    return answer.error.code


async def exhaust_challenges(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call_id: object
) -> None:
    """Request the maximum number of challenges; only the last one has not expired."""
    for _ in range(DRAWS):
        scenario.clock.at += LIFE + MICROSECOND
        assert isinstance(await scenario.challenge(student, roll_call_id), Challenge)  # type: ignore[arg-type]


async def test_two_or_three_actions_are_drawn_without_repetition(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch(closes_at=scenario.clock() + timedelta(hours=2))
    drawn = []
    for _ in range(DRAWS):
        drawn.append((await scenario.issue_challenge(student, launched.roll_call.id)).actions)
        scenario.clock.at += LIFE + MICROSECOND
    for actions in drawn:
        assert 2 <= len(actions) <= 3
        assert set(actions) <= set(Action)
        assert all(one != other for one, other in pairwise(actions))
    assert len({tuple(actions) for actions in drawn}) > 1


async def test_every_action_has_its_own_later_cue(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    challenge = await scenario.issue_challenge(student, launched.roll_call.id)
    assert len(challenge.cues_ms) == len(challenge.actions)
    gaps = [later - earlier for earlier, later in pairwise([0, *challenge.cues_ms])]
    assert all(1600 <= gap <= 4000 for gap in gaps)


async def test_flash_colours_are_drawn_without_repetition(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    flash = (await scenario.issue_challenge(student, launched.roll_call.id)).flash
    assert len(flash) == 8
    assert all(one != other for one, other in pairwise(flash))
    assert (
        screen_colour_at(flash, 500, 0)
        == screen_colour_at(flash, 500, 4000)
        == screen_colour_at(flash, 500, 499)
    )
    assert screen_colour_at([], 500, 0) is None


# --- repeated requests ---


async def test_fresh_unanswered_challenge_is_returned_again(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await scenario.issue_challenge(student, launched.roll_call.id)
    scenario.clock.at += LIFE / 2
    again = await scenario.issue_challenge(student, launched.roll_call.id)
    assert (again.nonce, again.actions) == (first.nonce, first.actions)


async def test_request_before_expiry_changes_nonce_but_not_actions(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await scenario.issue_challenge(student, launched.roll_call.id)
    for _ in range(4):
        scenario.clock.at += LIFE / 2 + MICROSECOND
        again = await scenario.issue_challenge(student, launched.roll_call.id)
        assert again.nonce != first.nonce
        assert again.actions == first.actions


async def test_answered_challenge_is_followed_by_a_new_one(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await scenario.nonce(student, launched.roll_call.id)
    await scenario.submit(student, launched.roll_call.id)
    second = await scenario.nonce(student, launched.roll_call.id)
    assert second != first
    assert await scenario.nonce(student, launched.roll_call.id) == second


async def test_new_phone_gets_its_own_nonce_with_the_same_actions(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await scenario.issue_challenge(student, launched.roll_call.id)
    async with scenario.owner_transaction() as session:
        await session.execute(
            update(Challenge).where(Challenge.nonce == first.nonce).values(key_thumbprint="an earlier phone")
        )
    again = await scenario.issue_challenge(student, launched.roll_call.id)
    assert again.nonce != first.nonce
    assert again.actions == first.actions


async def test_number_of_challenges_is_limited(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    launched = await scenario.launch(closes_at=scenario.clock() + timedelta(hours=2))
    await exhaust_challenges(scenario, student, launched.roll_call.id)
    assert isinstance(await scenario.challenge(student, launched.roll_call.id), Challenge)
    scenario.clock.at += LIFE + MICROSECOND
    answer = await scenario.challenge(student, launched.roll_call.id)
    assert await recorded_refusal(scenario, student, answer) == "challenges_exhausted"


@pytest.mark.clause("HN334-3.4")
async def test_challenge_accepts_only_one_envelope(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    challenge = await scenario.issue_challenge(student, launched.roll_call.id)
    sent = [
        await scenario.send(
            student,
            launched.roll_call.id,
            envelope(student, launched.roll_call.id, challenge.nonce, frames),
        )
        for frames in (
            render_burst(student.person),
            render_actions(student.person, challenge.actions, first=20),
        )
    ]
    first, second = sent
    assert isinstance(first, Acknowledgement)
    assert isinstance(second, RecordedRefusal)
    assert second.error.code == "nonce_used"
    assert await scenario.count_submissions(student) == 1


# --- actions that a student cannot do ---


async def test_impossible_actions_are_not_drawn(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch(closes_at=scenario.clock() + timedelta(hours=2))
    for _ in range(DRAWS):
        challenge = await scenario.issue_challenge(
            student, launched.roll_call.id, Action.CLOSE_EYES, Action.TURN_LEFT
        )
        assert set(challenge.actions) == {Action.OPEN_MOUTH, Action.TURN_RIGHT}
        assert challenge.cannot == [Action.CLOSE_EYES, Action.TURN_LEFT]
        scenario.clock.at += LIFE + MICROSECOND


async def test_impossible_actions_apply_to_the_whole_roll_call(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch(closes_at=scenario.clock() + timedelta(hours=2))
    await scenario.issue_challenge(student, launched.roll_call.id, Action.OPEN_MOUTH)
    for _ in range(5):
        scenario.clock.at += LIFE + MICROSECOND
        later = await scenario.issue_challenge(student, launched.roll_call.id)
        assert Action.OPEN_MOUTH not in later.actions
        assert later.cannot == [Action.OPEN_MOUTH]


async def test_excluding_an_action_that_was_not_drawn_keeps_the_actions(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await scenario.issue_challenge(student, launched.roll_call.id)
    unasked = next(action for action in Action if action not in first.actions)
    again = await scenario.issue_challenge(student, launched.roll_call.id, unasked)
    assert again.nonce != first.nonce
    assert (again.actions, again.cannot) == (first.actions, [unasked])


async def test_excluding_a_drawn_action_draws_new_actions(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    first = await scenario.issue_challenge(student, launched.roll_call.id)
    unable = Action(first.actions[0])
    again = await scenario.issue_challenge(student, launched.roll_call.id, unable)
    assert again.nonce != first.nonce
    assert unable not in again.actions


@pytest.mark.parametrize("excluded", [list(Action), list(Action)[:3]])
async def test_student_with_too_few_actions_is_referred_to_counselor(
    scenario: RollCallScenario, student: StudentWithPhone, excluded: list[Action]
) -> None:
    launched = await scenario.launch()
    answer = await scenario.challenge(student, launched.roll_call.id, *excluded)
    assert await recorded_refusal(scenario, student, answer) == "challenge_actions_too_few"
    assert isinstance(answer, RecordedRefusal)
    assert "辅导员" in answer.error.sentence("zh")
    async with scenario.owner_transaction() as session:
        stored = select(Challenge.nonce).where(Challenge.student_id == student.student_id)
        assert await session.scalar(stored) is None


# --- a referral is never a miss (THREATS 15, 17) ---


@pytest.mark.clause("R8")
async def test_referred_student_is_undetermined_at_the_close(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    await scenario.challenge(student, launched.roll_call.id, *Action)
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, student) == (
        "undetermined",
        "non_face_route_unattended",
    )


@pytest.mark.clause("R8")
async def test_referred_student_is_undetermined_even_after_a_rejection(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch(closes_at=scenario.clock() + timedelta(hours=2))
    outside = await scenario.check_in(student, launched.roll_call.id, fixes=make_fixes(OUTSIDE))
    assert (await scenario.verify(outside)).reasons[0] == "outside_site"
    await scenario.challenge(student, launched.roll_call.id, *Action)
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, student) == (
        "undetermined",
        "non_face_route_unattended",
    )


def test_referred_student_is_advised_to_see_counselor_while_open() -> None:
    assert what_to_do("open", "owed", None, sent_to_a_person=True).code == "see_counselor"
    assert what_to_do("open", "owed", "present", sent_to_a_person=True).code == "present"
    assert what_to_do("closed", "owed", None, sent_to_a_person=True).code == "closed"
