"""Position signals at verification: scored, in the trace, a second check at most; and how often honest phones are asked."""

from datetime import date, timedelta
from typing import Any

import pytest

from backend.policy.installed import policy_at
from backend.roll_call.policy import position_rules
from bench.position.signals import measure, wilson_interval
from tests.support.campus import SIDE, SOUTH
from tests.support.roll_call.scenario import GRACE, RollCallScenario
from tests.support.roll_call.student_phone import INSIDE, StudentWithPhone, make_fixes

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture
async def student(scenario: RollCallScenario) -> StudentWithPhone:
    return await scenario.activate(scenario.school.students[0])


FAR_AWAY = (INSIDE[0] + 3.0, INSIDE[1])
RULES = position_rules(policy_at(date(2026, 3, 2), "410000"))


def shift(fixes: list[dict[str, Any]], **changes: list[Any]) -> list[dict[str, Any]]:
    """Replace a field of each fix."""
    return [fix | {name: values[n] for name, values in changes.items()} for n, fix in enumerate(fixes)]


SIGNALS: dict[str, tuple[list[dict[str, Any]], set[str]]] = {
    "identical fixes": (
        make_fixes(lon=INSIDE[0], accuracy_m=9.0),
        {"frozen_precise", "constant_accuracy"},
    ),
    "one metre three times": (make_fixes(accuracy_m=1.0), {"impossible_accuracy", "constant_accuracy"}),
    "one instant": (make_fixes(age_s=1.0), {"one_instant"}),
    "short sampling": (shift(make_fixes(), age_s=[4.0, 2.0, 0.5]), {"short_sampling"}),
    "a jump": (shift(make_fixes(), lat=[SOUTH + 0.1, INSIDE[1], INSIDE[1]]), {"teleport"}),
}


@pytest.mark.parametrize(("fixes", "names"), SIGNALS.values(), ids=SIGNALS)
async def test_made_up_position_asks_for_a_second_check(
    scenario: RollCallScenario, student: StudentWithPhone, fixes: list[dict[str, Any]], names: set[str]
) -> None:
    launched = await scenario.launch()
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, fixes=fixes))
    assert verdict.finding == "step_up"
    assert "location_doubtful" in verdict.reasons
    trace = verdict.trace["position"]
    assert {signal["name"] for signal in trace["signals"]} == names
    assert trace["score"] >= trace["step_up_from"]
    again = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, first=50))
    assert names == {"teleport"} or again.finding == "accepted"


async def test_doubtful_position_is_never_a_miss(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    fixes = make_fixes(lon=INSIDE[0], accuracy_m=1.0, age_s=1.0)
    await scenario.verify(await scenario.check_in(student, launched.roll_call.id, fixes=fixes))
    scenario.clock.at = launched.roll_call.closes_at + 3 * GRACE
    await scenario.settle(launched.roll_call)
    assert await scenario.outcome(launched.roll_call.id, student) == ("undetermined", "location_doubtful")


async def test_impossible_travel_between_check_ins_asks_for_a_second_check(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    away = await scenario.check_in(student, launched.roll_call.id, fixes=make_fixes(FAR_AWAY))
    assert (await scenario.verify(away)).finding == "rejected"
    scenario.clock.at += timedelta(minutes=10)
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, first=50))
    assert (verdict.finding, verdict.reasons) == ("step_up", ["location_doubtful"])
    (signal,) = verdict.trace["position"]["signals"]
    assert (signal["name"], verdict.trace["position"]["compared"]) == ("impossible_travel", 1)
    assert 300 < signal["measured"] < 500


async def test_possible_travel_between_roll_calls_is_accepted(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    first = await scenario.launch()
    near = make_fixes((INSIDE[0] + SIDE, INSIDE[1]))
    await scenario.check_in(student, first.roll_call.id, fixes=near)
    scenario.clock.at = first.roll_call.closes_at + timedelta(minutes=1)
    second = await scenario.launch()
    verdict = await scenario.verify(await scenario.check_in(student, second.roll_call.id, first=50))
    assert (verdict.finding, verdict.trace["position"]["compared"]) == ("accepted", 1)


async def test_repeated_coarse_fix_of_an_honest_phone_is_accepted(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    launched = await scenario.launch()
    fixes = make_fixes(lon=INSIDE[0], accuracy_m=25.0)
    verdict = await scenario.verify(await scenario.check_in(student, launched.roll_call.id, fixes=fixes))
    assert verdict.finding == "accepted"
    assert {signal["name"] for signal in verdict.trace["position"]["signals"]} == {
        "frozen",
        "constant_accuracy",
    }


def test_honest_phones_are_asked_rarely() -> None:
    """The documented rate (docs/position.md) with another seed: its interval stays below one in a hundred."""
    rows = {name: (checks, flagged) for name, checks, flagged in measure(RULES, 4_000, start=2026)}
    checks, flagged = rows["all"]
    assert wilson_interval(flagged, checks)[1] < 0.01
    cached_checks, cached = rows["Android indoors, cached fix with its old time"]
    assert cached == cached_checks  # the measurement can fail: an old fix sent again is told apart
