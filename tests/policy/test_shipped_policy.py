"""The shipped parameters have the values that the notices state, from their first day."""

from datetime import date, timedelta

import pytest

from backend.policy import AbsentLaw, load_policies
from backend.policy.schema import NATIONAL

POLICY = load_policies()
ISSUED = date(2022, 10, 9)
ZHENGZHOU = POLICY.at(ISSUED, "410100")


@pytest.mark.parametrize(
    ("parameter_id", "expected"),
    [
        pytest.param("registration.part_time.per_year", 2, marks=pytest.mark.clause("HN334-2.2")),
        pytest.param("rehearsal.minimum_per_school", 1, marks=pytest.mark.clause("HN334-3.3")),
        pytest.param("registration_check.minimum_per_term", 1, marks=pytest.mark.clause("HN334-4.1a")),
        pytest.param("leave.cap", 15, marks=pytest.mark.clause("HN334-3.5b")),
        pytest.param("leave.suspension_prompt_from", 16, marks=pytest.mark.clause("HN334-3.5b")),
        pytest.param("absence.withdrawal_after", 3, marks=pytest.mark.clause("HN334-3.5c")),
        pytest.param("misses.consecutive", 2, marks=pytest.mark.clause("HN334-4.1b")),
        pytest.param("misses.cumulative", 4, marks=pytest.mark.clause("HN334-4.1b")),
        pytest.param("decision.deadline", 5, marks=pytest.mark.clause("HN334-4.1b")),
    ],
)
def test_values_stated_by_the_notice(parameter_id: str, expected: int) -> None:
    assert ZHENGZHOU.integer(parameter_id) == expected


def test_notice_does_not_apply_before_its_issue_or_outside_henan() -> None:
    for day, place in [(date(2022, 10, 8), "410100"), (ISSUED, "140900")]:
        with pytest.raises(AbsentLaw):
            POLICY.at(day, place).integer("misses.consecutive")


@pytest.mark.clause("HN334-2.1")
def test_audience_has_every_programme_type_of_the_notice() -> None:
    assert [row["code"] for row in ZHENGZHOU.table("audience.programme_types")] == [
        "secondary_vocational_school",
        "university_secondary_division",
        "five_year_secondary_stage",
    ]


@pytest.mark.clause("HN334-2.2")
def test_full_time_students_are_verified_part_time_ones_only_register() -> None:
    assert ZHENGZHOU.texts("audience.verified_study_forms") == ("full_time",)
    assert ZHENGZHOU.texts("audience.registration_only_study_forms") == ("part_time",)


@pytest.mark.clause("HN334-3.4")
def test_superiors_launch_spot_checks_schools_the_other_kinds() -> None:
    rights = {(row["kind"], row["launcher"], row["over"]) for row in ZHENGZHOU.table("launch.permissions")}
    assert rights == {
        ("spot_check", "province", "any_school"),
        ("spot_check", "bureau", "subordinate_school"),
        ("rehearsal", "school", "own_school"),
        ("registration", "school", "own_school"),
        ("school_own", "school", "own_school"),
    }


@pytest.mark.clause("HN334-3.4")
def test_counselors_and_students_cannot_launch() -> None:
    accounts = {row["account"] for row in ZHENGZHOU.table("launch.permissions")}
    assert accounts == {"province", "bureau", "registrar"}


@pytest.mark.clause("HN334-5.1")
def test_each_cohort_has_a_rehearsal_deadline() -> None:
    assert ZHENGZHOU.date_value("rehearsal.deadline.enrolled") == date(2022, 10, 25)
    assert ZHENGZHOU.date_value("rehearsal.deadline.cohort_2022") == date(2022, 10, 31)


@pytest.mark.clause("R6")
def test_minimum_window_is_one_hour() -> None:
    assert ZHENGZHOU.duration("roll_call.window.minimum") == timedelta(minutes=60)


@pytest.mark.clause("R12")
def test_henan_executes_on_expiry_with_an_outcome_for_each_prompt() -> None:
    assert ZHENGZHOU.text("decision.on_expiry") == "execute"
    proposed = {row["prompt"]: row["outcome"] for row in ZHENGZHOU.table("decision.proposed_outcomes")}
    assert proposed == {
        "misses": "part_time",
        "leave_over_cap": "suspension",
        "absence_without_leave": "withdrawal",
    }
    assert set(proposed.values()) == set(ZHENGZHOU.texts("decision.outcomes"))


@pytest.mark.parametrize(
    ("day", "grant"),
    [(date(2022, 10, 9), 200_000), (date(2024, 12, 31), 200_000), (date(2025, 3, 1), 230_000)],
)
def test_grant_rises_in_the_spring_term_of_2025(day: date, grant: int) -> None:
    assert POLICY.at(day, "410100").integer("aid.grant.average_per_year") == grant
    assert POLICY.at(day, "410100").integer("aid.tuition_waiver.base_per_year") == 200_000


def test_location_fix_of_400_metres_is_too_coarse() -> None:
    assert ZHENGZHOU.number("verification.fence.max_accuracy") < 400
    assert ZHENGZHOU.ratio("verification.fence.outside_at") < ZHENGZHOU.ratio("verification.fence.inside_at")


def test_no_figure_that_accepts_a_photograph_is_shipped() -> None:
    suffixes = (".accept_from", ".thresholds")
    accepting = [each.id for each in POLICY.parameters if each.id.endswith(suffixes)]
    assert set(accepting) == {
        "verification.face.test-pattern.neutral.accept_from",
        "verification.face.test-pattern.thresholds",
    }


def test_groups_of_a_demonstration_are_smaller() -> None:
    prefix = "verification.face.thresholds"
    assert ZHENGZHOU.integer(f"{prefix}.demonstration_minimum") < ZHENGZHOU.integer(f"{prefix}.minimum")


def test_related_parameters_are_consistent() -> None:
    assert ZHENGZHOU.integer("leave.suspension_prompt_from") == ZHENGZHOU.integer("leave.cap") + 1
    assert ZHENGZHOU.duration("roll_call.window.minimum") < ZHENGZHOU.duration(
        "roll_call.spot_check.window_maximum"
    )
    assert max(ZHENGZHOU.integers("decision.reminders")) == ZHENGZHOU.integer("decision.deadline")
    retries = timedelta(seconds=sum(ZHENGZHOU.integers("notice.retry_delays")))
    assert retries < ZHENGZHOU.duration("roll_call.window.minimum")
    frames = (
        ZHENGZHOU.integer("verification.frames.min_count"),
        ZHENGZHOU.integer("verification.frames.max_count"),
    )
    assert frames == tuple(sorted(frames))


def test_challenge_can_be_answered_within_its_limits() -> None:
    max_actions = ZHENGZHOU.integer("verification.challenge.max_actions")
    frames = ZHENGZHOU.integer("verification.frames.min_count")
    frames_per_action = ZHENGZHOU.integer("verification.liveness.closed_eyes_frames")
    assert 2 <= ZHENGZHOU.integer("verification.challenge.min_actions") <= max_actions
    assert frames_per_action * max_actions + 2 <= frames
    slowest = timedelta(milliseconds=ZHENGZHOU.integer("verification.burst.max_gap"))
    quickest = timedelta(milliseconds=ZHENGZHOU.integer("verification.burst.min_gap"))
    answer_time = ZHENGZHOU.duration("verification.challenge.answer_time")
    assert quickest * frames < answer_time < slowest * frames
    assert answer_time < ZHENGZHOU.duration("verification.challenge.lifetime")
    assert ZHENGZHOU.integer("verification.challenge.max_step_ups") < ZHENGZHOU.integer(
        "verification.challenge.max_draws"
    )
    assert ZHENGZHOU.ratio("verification.liveness.closed_mouth") < ZHENGZHOU.ratio(
        "verification.liveness.open_mouth"
    )


def test_parameters_without_a_notice_are_marked_operational() -> None:
    national = [parameter for parameter in POLICY.parameters if parameter.place == NATIONAL]
    cited = {dated.reference.instrument for parameter in national for dated in parameter.values}
    assert "HN334" not in cited
    assert "DIANMING" in cited
