"""The pure rules of a roll call."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.roll_call.rules import (
    Evidence,
    InTimeSubmission,
    Outcome,
    TargetSchool,
    Timing,
    VerdictDecision,
    WindowTimes,
    classify_timing,
    compute_attestation_quota,
    count_face_failures,
    decide_verdict,
    find_launch_objection,
    find_window_objections,
    settle_obligation,
    was_notified_in_time,
)

OPENS = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
CLOSES = OPENS + timedelta(hours=2)
PERMISSIONS = (
    {"kind": "spot_check", "launcher": "province", "account": "province", "over": "any_school"},
    {"kind": "spot_check", "launcher": "bureau", "account": "bureau", "over": "subordinate_school"},
    {"kind": "rehearsal", "launcher": "school", "account": "registrar", "over": "own_school"},
)
CITY_SCHOOL = TargetSchool("p1.c1.s1", "p1.c1", "city")
OTHER_CITY_SCHOOL = TargetSchool("p1.c2.s2", "p1.c2", "city")
PROVINCE_SCHOOL = TargetSchool("p1.s3", "p1", "province")

attempts = st.builds(
    InTimeSubmission,
    finding=st.one_of(st.none(), st.sampled_from(VerdictDecision)),
    reasons=st.lists(
        st.sampled_from(["outside_site", "face_mismatch", "frame_reused", "face_unsure"]), min_size=1
    ).map(tuple),
)
evidence = st.builds(
    Evidence,
    frames_complete=st.booleans(),
    fence=st.sampled_from(["inside", "outside", "uncertain", None]),
    fence_reasons=st.just(()),
    face=st.sampled_from(["accept", "step_up", "reject", "unusable", "unproven", None]),
    face_reasons=st.just(()),
    liveness=st.sampled_from([(), ("eyes_not_closed",)]),
    presence=st.sampled_from([(), ("face_unchanged",)]),
    likeness=st.sampled_from([(), ("picture_repeated",)]),
    reused=st.booleans(),
    in_cool_down=st.booleans(),
)


@pytest.mark.clause("HN334-3.4")
@pytest.mark.parametrize(
    ("kind", "account", "path", "school", "objection"),
    [
        ("spot_check", "province", "p1", CITY_SCHOOL, None),
        ("spot_check", "province", "p1", PROVINCE_SCHOOL, None),
        ("spot_check", "bureau", "p1.c1", CITY_SCHOOL, None),
        ("spot_check", "bureau", "p1.c1", OTHER_CITY_SCHOOL, "school"),
        ("spot_check", "bureau", "p1.c1", PROVINCE_SCHOOL, "school"),
        ("spot_check", "registrar", "p1.c1.s1", CITY_SCHOOL, "kind"),
        ("spot_check", "counselor", "p1.c1.s1", CITY_SCHOOL, "kind"),
        ("rehearsal", "registrar", "p1.c1.s1", CITY_SCHOOL, None),
        ("rehearsal", "registrar", "p1.c1.s1", OTHER_CITY_SCHOOL, "school"),
        ("rehearsal", "counselor", "p1.c1.s1", CITY_SCHOOL, "kind"),
        ("rehearsal", "bureau", "p1.c1", CITY_SCHOOL, "kind"),
    ],
)
def test_only_the_authority_over_a_school_may_launch(
    kind: str, account: str, path: str, school: TargetSchool, objection: str | None
) -> None:
    assert find_launch_objection(PERMISSIONS, kind, account, path, [school]) == objection


@pytest.mark.clause("HN334-3.4")
def test_one_foreign_school_refuses_the_whole_launch() -> None:
    schools = [CITY_SCHOOL, OTHER_CITY_SCHOOL]
    assert find_launch_objection(PERMISSIONS, "spot_check", "bureau", "p1.c1", schools) == "school"


@pytest.mark.clause("HN334-3.4")
def test_closing_instant_is_in_time_and_next_microsecond_is_late() -> None:
    assert classify_timing(CLOSES, OPENS, CLOSES) is Timing.IN_TIME
    assert classify_timing(CLOSES + timedelta(microseconds=1), OPENS, CLOSES) is Timing.LATE
    assert classify_timing(OPENS, OPENS, CLOSES) is Timing.IN_TIME
    assert classify_timing(OPENS - timedelta(microseconds=1), OPENS, CLOSES) is Timing.EARLY


@pytest.mark.clause("R6")
def test_window_follows_the_limits_of_the_policy() -> None:
    minimum, maximum = timedelta(minutes=60), timedelta(minutes=240)

    def objections(**changes: datetime) -> tuple[str, ...]:
        times = {
            "launched_at": OPENS,
            "notify_at": OPENS,
            "opens_at": OPENS,
            "closes_at": OPENS + minimum,
        } | changes
        return find_window_objections(WindowTimes(**times), minimum, maximum)

    assert objections() == ()
    assert objections(closes_at=OPENS + minimum - timedelta(seconds=1)) == ("too_short",)
    assert objections(closes_at=OPENS + maximum) == ()
    assert objections(closes_at=OPENS + maximum + timedelta(seconds=1)) == ("too_long",)
    assert objections(notify_at=OPENS - timedelta(seconds=1)) == ("notify_in_past",)
    assert objections(notify_at=OPENS + timedelta(seconds=1)) == ("opens_before_notice",)
    assert objections(notify_at=OPENS - timedelta(seconds=1), closes_at=OPENS) == (
        "notify_in_past",
        "too_short",
    )


@given(evidence)
def test_accepted_requires_every_check_to_pass(facts: Evidence) -> None:
    accepted = decide_verdict(facts).decision is VerdictDecision.ACCEPTED
    every = facts.frames_complete and facts.fence == "inside" and facts.face == "accept"
    doubt = facts.liveness or facts.presence or facts.likeness or facts.reused or facts.in_cool_down
    assert accepted == (every and not doubt)


@given(evidence)
def test_missing_check_is_undetermined(facts: Evidence) -> None:
    mismatch = facts.frames_complete and facts.face == "reject" and not facts.liveness
    certain_no = facts.reused or facts.fence == "outside" or mismatch
    if (facts.face is None or facts.fence is None or not facts.frames_complete) and not certain_no:
        assert decide_verdict(facts).decision is VerdictDecision.UNDETERMINED


@given(evidence)
def test_doubt_about_the_burst_never_rejects_the_face(facts: Evidence) -> None:
    verdict = decide_verdict(facts)
    if facts.liveness and verdict.decision is VerdictDecision.REJECTED:
        assert verdict.reasons[0] in {"frame_reused", "outside_site"}


@given(evidence)
def test_reused_picture_asks_for_step_up(facts: Evidence) -> None:
    sure = replace(
        facts, face="accept", fence="inside", liveness=(), presence=(), reused=False, frames_complete=True
    )
    verdict = decide_verdict(replace(sure, likeness=("picture_repeated",)))
    assert verdict.decision is VerdictDecision.STEP_UP
    assert verdict.reasons[:2] == ("picture_seen_before", "picture_repeated")


@given(evidence)
def test_doubt_about_presence_asks_again_and_never_rejects(facts: Evidence) -> None:
    doubted = decide_verdict(replace(facts, presence=("face_unchanged",)))
    assert doubted.decision is not VerdictDecision.ACCEPTED
    if doubted.decision is VerdictDecision.REJECTED:
        assert decide_verdict(replace(facts, presence=())) == doubted
    sure = replace(facts, face="accept", fence="inside", liveness=(), reused=False, frames_complete=True)
    verdict = decide_verdict(replace(sure, presence=("face_unchanged",)))
    assert verdict.decision is VerdictDecision.STEP_UP
    assert verdict.reasons[:2] == ("presence_doubtful", "face_unchanged")


@given(evidence)
def test_face_that_no_score_can_confirm_waits_for_a_person_once_everything_else_passed(
    facts: Evidence,
) -> None:
    verdict = decide_verdict(replace(facts, face="unproven"))
    if verdict.reasons[0] == "face_needs_look":
        every = facts.frames_complete and facts.fence == "inside" and not facts.position_doubtful
        doubt = facts.liveness or facts.presence or facts.likeness or facts.reused or facts.in_cool_down
        assert every
        assert not doubt
    assert verdict.decision is not VerdictDecision.ACCEPTED


def test_failures_count_uncertain_faces_but_not_poor_pictures() -> None:
    tries = count_face_failures(
        [
            ["verified"],
            ["face_mismatch"],
            ["face_unusable", "too_dark"],
            ["location_uncertain"],
            ["challenge_unanswered", "eyes_not_closed", "face_unsure"],
            ["picture_seen_before"],
            ["face_unsure", "location_uncertain"],
        ]
    )
    assert (tries.mismatches, tries.doubts) == (1, 3)


@pytest.mark.clause("HN334-3.4")
def test_no_submission_is_a_miss() -> None:
    assert settle_obligation([]).outcome is Outcome.MISSED


@given(st.lists(attempts, min_size=1))
def test_submission_in_time_is_missed_only_by_final_rejections(sent: list[InTimeSubmission]) -> None:
    result = settle_obligation(sent)
    if result.outcome is Outcome.MISSED:
        assert all(each.finding is VerdictDecision.REJECTED for each in sent)
        assert not any("face_mismatch" in each.reasons for each in sent)
    if any(each.finding is VerdictDecision.ACCEPTED for each in sent):
        assert result.outcome is Outcome.PRESENT


@given(st.lists(attempts))
def test_referred_student_is_never_missed(sent: list[InTimeSubmission]) -> None:
    result = settle_obligation(sent, sent_to_a_person=True)
    assert result.outcome is not Outcome.MISSED
    if settle_obligation(sent).outcome is not Outcome.MISSED:
        assert result == settle_obligation(sent)


@given(st.lists(attempts))
def test_accepted_submission_always_makes_the_student_present(sent: list[InTimeSubmission]) -> None:
    passed = InTimeSubmission(VerdictDecision.ACCEPTED, ("verified",))
    for position in range(len(sent) + 1):
        assert settle_obligation([*sent[:position], passed, *sent[position:]]).outcome is Outcome.PRESENT


@given(st.integers(0, 200), st.floats(0, 1), st.integers(0, 20))
def test_attestation_quota_never_exceeds_the_class(owed: int, share: float, minimum: int) -> None:
    quota = compute_attestation_quota(owed, share, minimum)
    assert 0 <= quota <= owed
    assert quota >= min(owed, minimum)


MINIMUM, GRACE = timedelta(hours=1), timedelta(minutes=2)


@pytest.mark.clause("R6")
@pytest.mark.clause("R8")
@pytest.mark.parametrize(
    ("announced_at", "in_time"),
    [
        (None, False),
        (OPENS - MINIMUM, True),
        (OPENS, True),
        (CLOSES - MINIMUM, True),
        (CLOSES - MINIMUM + GRACE, True),
        (CLOSES - MINIMUM + GRACE + timedelta(microseconds=1), False),
        (CLOSES, False),
    ],
)
def test_notice_must_leave_the_minimum_window(announced_at: datetime | None, in_time: bool) -> None:
    assert was_notified_in_time(announced_at, (OPENS, CLOSES), minimum=MINIMUM, grace=GRACE) is in_time
