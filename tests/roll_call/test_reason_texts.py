"""Every reason code has a sentence, and every situation has advice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.roll_call.reason_texts import reason, what_to_do
from backend.roll_call.rules import (
    Evidence,
    InTimeSubmission,
    Outcome,
    decide_verdict,
    settle_obligation,
    settle_without_submission,
)
from biometrics.liveness.burst import NO_DEPTH, NOT_DONE
from geo.fence import FenceReason

STATES = ("announced", "open", "closed", "voided")


@given(
    st.builds(
        Evidence,
        frames_complete=st.booleans(),
        fence=st.sampled_from(["inside", "outside", "uncertain", None]),
        fence_reasons=st.lists(st.sampled_from([reason.value for reason in FenceReason]), max_size=2).map(
            tuple
        ),
        face=st.sampled_from(["accept", "step_up", "reject", "unusable", None]),
        face_reasons=st.sampled_from([(), ("too_dark", "image_broken"), ("nearer_classmate",)]),
        liveness=st.sampled_from([(), tuple(each.code for each in NOT_DONE.values()), (NO_DEPTH.code,)]),
        likeness=st.just(()),
        reused=st.booleans(),
        in_cool_down=st.booleans(),
    )
)
def test_every_reason_of_a_verdict_has_its_own_sentence(evidence: Evidence) -> None:
    for code in decide_verdict(evidence).reasons:
        explained = reason(code)
        assert code not in explained.zh
        assert code not in explained.en


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("duty", ["owed", "excused", "exempt"])
@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_every_situation_has_advice(state: str, duty: str, outcome: str | None) -> None:
    advice = what_to_do(state, duty, outcome)
    assert advice.zh
    assert advice.en


@pytest.mark.parametrize("state", ["announced", "open"])
def test_student_on_leave_is_not_advised_to_check_in(state: str) -> None:
    assert what_to_do(state, "excused", None).code == "excused"


@pytest.mark.clause("R8")
def test_no_submission_is_a_miss_only_if_announced() -> None:
    assert settle_without_submission(announced=True) == settle_obligation([])
    assert settle_without_submission(announced=False).outcome is Outcome.UNDETERMINED
    assert settle_obligation([InTimeSubmission(None, ())]).outcome is Outcome.UNDETERMINED
