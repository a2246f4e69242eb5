"""Tries left and the next actor of a student's card, and the sentences of stored refusals."""

import inspect
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.policy.installed import policy_at
from backend.roll_call import errors
from backend.roll_call.check_in.card import count_tries_left, find_next_actor
from backend.roll_call.policy import check_in_limits
from backend.roll_call.reason_texts import explain_refusal
from backend.roll_call.rules import MISMATCH, UNSURE, NextActor, Outcome, StudentPhase
from backend.roll_call.student_queries import StudentRollCall

LIMITS = replace(
    check_in_limits(policy_at(datetime(2026, 9, 1, tzinfo=UTC).date(), "410000")), face_failures=3, step_ups=2
)


def view(outcome: Outcome | None = None, duty: str = "owed", **values: Any) -> StudentRollCall:
    entry = None if outcome is None else SimpleNamespace(outcome=outcome.value)
    facts = {"roll_call": SimpleNamespace(kind="spot_check"), "voided": False, "sent_to_a_person": False}
    return StudentRollCall(
        **cast("Any", facts | {"obligation": SimpleNamespace(duty=duty), "outcome": entry} | values)
    )


@pytest.mark.parametrize(
    ("reasons", "left"),
    [
        ([], 2),
        ([(UNSURE,)], 1),
        ([(UNSURE,), (UNSURE,), (UNSURE,)], 0),
        ([(MISMATCH,), (MISMATCH,)], 1),
        ([("location_uncertain",), ("frames_missing",)], 2),
    ],
)
def test_only_failures_of_the_face_use_up_tries(reasons: list[tuple[str, ...]], left: int) -> None:
    assert count_tries_left(reasons, LIMITS) == left


@pytest.mark.parametrize(
    ("of", "phase", "pending", "exhausted", "expected"),
    [
        (view(), "announced", False, True, "nobody"),
        (view(), "open", False, False, "student"),
        (view(), "open", False, True, "counselor"),
        (view(), "open", True, False, "system"),
        (view(), "closed", False, True, "system"),
        (view(Outcome.PRESENT), "open", False, True, "nobody"),
        (view(Outcome.MISSED), "closed", False, True, "student"),
        (view(Outcome.UNDETERMINED), "closed", False, True, "staff"),
        (view(look_until=datetime(2026, 9, 1, tzinfo=UTC)), "closed", False, True, "staff"),
        (view(duty="exempt"), "open", False, True, "nobody"),
        (view(Outcome.MISSED), "voided", False, True, "nobody"),
    ],
)
def test_card_says_who_acts_next(
    of: StudentRollCall, phase: StudentPhase, pending: bool, exhausted: bool, expected: NextActor
) -> None:
    assert find_next_actor(of, phase, is_pending=pending, is_exhausted=exhausted) == expected


@pytest.mark.parametrize("error", errors.CheckInRefusal.__subclasses__(), ids=lambda error: error.code)
def test_every_stored_refusal_has_its_sentences(error: type[errors.CheckInRefusal]) -> None:
    values = dict.fromkeys(inspect.signature(error.__init__).parameters, "x")
    words = explain_refusal(error.code, values | {"reason_zh": "x", "reason_en": "x"})
    assert words.zh
    assert "{" not in words.zh + words.en


def test_refusal_without_its_values_still_has_a_sentence() -> None:
    assert "—" in explain_refusal("challenges_exhausted", {}).zh
    assert explain_refusal("fix_too_old", {"reason_zh": "太旧", "reason_en": "too old"}).zh.endswith("太旧")
