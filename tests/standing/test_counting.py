"""A missed check that does not count shows so, with the reason, to the student and to the launching side."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from backend.roll_call.tables import RollCall
from backend.roll_call.voiding import void_roll_call
from backend.staff_api.roll_calls import results, roll_calls
from backend.standing.claims.service import DecideClaim, FileClaim, decide_claim, file_claim
from backend.standing.explanations.phrases import CHECK_STATUSES
from backend.standing.student_view.counting import NOT_COUNTED, judge_miss
from tests.support.roll_call.mobile_client import create_mobile_http
from tests.support.staff_client import StaffClient, staff_client
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R1")]


@pytest.fixture
async def staff(scenario: StandingScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, roll_calls.router, results.router)
    yield client
    await client.http.aclose()


async def load_result(staff: StaffClient, scenario: StandingScenario, roll_call: RollCall) -> dict[str, Any]:
    """The pupil's row in the results of the roll call."""
    answer = await staff.get(scenario.bureau, f"/v1/roll-calls/{roll_call.id}/results")
    assert answer.status_code == 200, answer.text
    [row] = [row for row in answer.json()["items"] if row["student_id"] == str(scenario.pupil.id)]
    return dict(row)


async def accept_reason(scenario: StandingScenario, roll_call: RollCall) -> None:
    student = scenario.student()
    async with scenario.transaction(student) as session:
        view = await file_claim(session, student, FileClaim(roll_call.id, "no_phone"), scenario.at)
    async with scenario.transaction(scenario.bureau) as session:
        await decide_claim(session, scenario.bureau, DecideClaim(view.claim.id, True, "属实"), scenario.at)


async def test_the_results_show_which_misses_count(staff: StaffClient, scenario: StandingScenario) -> None:
    first, second = await scenario.misses(2)
    await scenario.recompute()
    await accept_reason(scenario, second)
    counted, excused = [await load_result(staff, scenario, each) for each in (first, second)]
    assert (counted["outcome"], counted["counts_as_miss"], counted["not_counted_reason"]) == (
        "missed",
        True,
        None,
    )
    assert (excused["outcome"], excused["counts_as_miss"], excused["not_counted_reason"]) == (
        "missed",
        False,
        "reason_accepted",
    )
    assert "正当理由" in excused["not_counted_zh"]


async def test_a_voided_check_does_not_count(staff: StaffClient, scenario: StandingScenario) -> None:
    [missed] = await scenario.misses(1)
    await scenario.recompute()
    async with scenario.transaction(scenario.bureau) as session:
        await void_roll_call(session, scenario.bureau, missed.id, "停电", scenario.at)
    assert (await load_result(staff, scenario, missed))["not_counted_reason"] == "voided"


async def test_a_schools_own_check_never_counts(staff: StaffClient, scenario: StandingScenario) -> None:
    own = await scenario.check(actor=scenario.registrar, kind="school_own")
    answer = await staff.get(scenario.registrar, f"/v1/roll-calls/{own.id}/results")
    assert {row["not_counted_reason"] for row in answer.json()["items"]} == {"never_counts"}


async def test_the_students_history_shows_why_a_miss_does_not_count(scenario: StandingScenario) -> None:
    first, second = await scenario.misses(2)
    await scenario.recompute()
    async with create_mobile_http(scenario.app_context, scenario.student()) as http:
        before = await http.get("/v1/roll-calls")
        await accept_reason(scenario, second)
        tag = before.headers["ETag"]
        after = await http.get("/v1/roll-calls", headers={"If-None-Match": tag})
        single = await http.get(f"/v1/roll-calls/{second.id}")
    assert counts_of(before) == {first.id: (True, None), second.id: (True, None)}
    assert counts_of(after) == {first.id: (True, None), second.id: (False, "reason_accepted")}
    assert single.json()["not_counted_zh"] == NOT_COUNTED["reason_accepted"].zh
    assert single.json()["what_to_do_zh"] == NOT_COUNTED["reason_accepted"].zh


def counts_of(answer: httpx.Response) -> dict[UUID, tuple[bool | None, str | None]]:
    assert answer.status_code == 200, answer.text
    return {
        UUID(item["id"]): (item["counts_as_miss"], item["not_counted_reason"])
        for item in answer.json()["items"]
    }


def test_every_reason_in_an_explanation_has_a_text_in_the_list() -> None:
    statuses = {"passed", "missed", "out", "present", "undetermined", "unsettled", "excused"}
    assert set(CHECK_STATUSES) - statuses <= set(NOT_COUNTED)


def test_a_result_that_is_no_miss_says_nothing() -> None:
    student, roll_call = UUID(int=1), UUID(int=2)
    for outcome in ("present", "excused", "undetermined", None):
        assert judge_miss({}, student, roll_call, "spot_check", outcome, voided=False) is None
