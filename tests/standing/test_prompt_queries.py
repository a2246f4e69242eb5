"""Visible prompts and their details: names instead of codes, facts instead of keys, no ID number."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.listing.pages import PageRequest
from backend.staff_api.standing.prompts import router
from backend.standing.prompts.queries import PromptSearch, load_prompts_page
from backend.standing.student_view.queries import OwnStanding, load_own_standing
from backend.standing.student_view.schemas import OwnStandingOut
from tests.support.province import bureau_account, counselor_account, registrar_account
from tests.support.staff_client import StaffClient, staff_client
from tests.support.standing.prompt_actions import decide, delete_heartbeats, raise_received_prompt
from tests.support.standing.prompts import confirm_receipt, load_prompt_id, raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


@pytest.fixture
async def client(scenario: StandingScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def list_prompt_ids(scenario: StandingScenario, actor: Actor, **narrowed: Any) -> list[UUID]:
    search = PromptSearch(**narrowed)
    async with scenario.transaction(actor) as session:
        rows = (await load_prompts_page(session, actor, search, scenario.at, PageRequest(50))).rows
    return [row.prompt.id for row in rows]


async def test_a_counselor_sees_only_the_own_classes(scenario: StandingScenario) -> None:
    own = await raise_prompt(scenario)
    other_class = scenario.school.classes[1]
    await scenario.recompute(other_class.students[0])
    other = await load_prompt_id(scenario, other_class.students[0])
    assert await list_prompt_ids(scenario, scenario.counselor) == [own]
    assert await list_prompt_ids(scenario, counselor_account(scenario.school, other_class)) == [other]
    assert set(await list_prompt_ids(scenario, scenario.registrar)) == {own, other}


async def test_superiors_see_only_prompts_below_them(scenario: StandingScenario) -> None:
    prompt_id, world = await raise_prompt(scenario), scenario.roll_call_scenario.world
    here = {"school_id": scenario.school.id}
    assert await list_prompt_ids(scenario, scenario.bureau, **here) == [prompt_id]
    assert await list_prompt_ids(scenario, scenario.province, **here) == [prompt_id]
    assert await list_prompt_ids(scenario, bureau_account(world.other_city), **here) == []
    assert await list_prompt_ids(scenario, registrar_account(world.sister)) == []


async def test_the_superior_filters_undelivered_prompts(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id = await raise_prompt(scenario)
    asked = {"school_id": str(scenario.school.id), "state": "undelivered"}
    assert [item["id"] for item in await client.every(scenario.bureau, "/v1/prompts", **asked)] == [
        str(prompt_id)
    ]
    await confirm_receipt(scenario, prompt_id)
    assert await client.every(scenario.bureau, "/v1/prompts", **asked) == []


async def test_overdue_means_open_past_the_deadline(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    scenario.roll_call_scenario.clock.at = await confirm_receipt(scenario, prompt_id) - timedelta(minutes=1)
    assert await list_prompt_ids(scenario, scenario.registrar, overdue=True) == []
    scenario.pass_time(minutes=1)
    assert await list_prompt_ids(scenario, scenario.registrar, overdue=True) == [prompt_id]
    await scenario.recompute()
    assert await list_prompt_ids(scenario, scenario.registrar, overdue=True) == []


async def test_pages_have_no_gap_or_repetition(scenario: StandingScenario, client: StaffClient) -> None:
    await scenario.misses(2)
    for pupil in scenario.school.students:
        await scenario.recompute(pupil)
    whole = await client.every(scenario.registrar, "/v1/prompts")
    paged = await client.every(scenario.registrar, "/v1/prompts", limit=2)
    assert len(whole) == len(scenario.school.students)
    assert [item["id"] for item in paged] == [item["id"] for item in whole]


async def test_prompt_details_have_names_and_no_id_numbers(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id = await raise_received_prompt(scenario)
    answer = await client.get(scenario.registrar, f"/v1/prompts/{prompt_id}")
    case = answer.json()
    assert (case["student_name"], case["class_name"]) == (
        scenario.pupil.name,
        scenario.school.classes[0].name,
    )
    assert [item["title"] for item in case["evidence"]] == ["学籍核验", "学籍核验"]
    assert all(item["missing"] == [] and item["notice_delivered_at"] for item in case["evidence"])
    assert case["due_at"]
    assert [each["code"] for each in case["choices"]["outcomes"]] == [
        "part_time",
        "suspension",
        "withdrawal",
        "dismiss",
    ]
    assert case["trace"]["rule"] == "prompt.misses"
    assert scenario.pupil.id_number not in answer.text


async def test_missing_evidence_and_blockers_have_texts(
    scenario: StandingScenario, client: StaffClient
) -> None:
    [first, _] = await scenario.misses(2)
    await delete_heartbeats(scenario, first)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    case = (await client.get(scenario.registrar, f"/v1/prompts/{prompt_id}")).json()
    assert [[part["code"] for part in item["missing"]] for item in case["evidence"]] == [["availability"], []]
    assert {each["code"] for each in case["blockers"]} == {"notice_undelivered", "incomplete_evidence"}
    assert all(each["zh"] and each["en"] for each in case["blockers"])


async def test_details_of_a_decided_prompt_show_decision_and_change(
    scenario: StandingScenario, client: StaffClient
) -> None:
    prompt_id = await raise_received_prompt(scenario)
    answer = await client.post(
        scenario.registrar,
        f"/v1/prompts/{prompt_id}/decisions",
        {"outcome": "suspension", "reasons": "家长申请"},
    )
    assert answer.status_code == 201
    case = answer.json()
    assert case["state"]["code"] == "decided"
    assert [made["outcome"]["zh"] for made in case["decisions"]] == ["休学"]
    [change] = case["changes"]
    assert change["before"]["standing"]["code"] == "01"
    assert change["after"]["standing"]["code"] == "02"


# --- the student's own ---


async def load_own_standing_view(scenario: StandingScenario) -> OwnStanding:
    student = scenario.student()
    async with scenario.transaction(student) as session:
        found = await load_own_standing(session, student, scenario.at)
    OwnStandingOut.of(found)
    return found


async def test_a_student_without_assessment_has_zero_counts(scenario: StandingScenario) -> None:
    found = await load_own_standing_view(scenario)
    assert found.misses is not None
    assert (found.misses.consecutive, found.misses.cumulative, found.locked) == (0, 0, False)
    assert (found.law.consecutive, found.law.cumulative) == (2, 4)
    assert found.prompts == []


async def test_one_miss_shows_with_its_warning(scenario: StandingScenario) -> None:
    await scenario.misses(1)
    await scenario.recompute()
    found = await load_own_standing_view(scenario)
    assert found.misses is not None
    assert found.misses.consecutive == 1
    assert [warning["code"] for warning in found.warnings] == ["one_more_miss"]


async def test_an_open_prompt_is_shown_and_then_the_lock(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    assert [row.prompt.id for row in (await load_own_standing_view(scenario)).prompts] == [prompt_id]
    await decide(scenario, prompt_id)
    found = await load_own_standing_view(scenario)
    assert found.prompts == []
    assert found.locked
    assert found.status.study_form == "part_time"
    assert await list_prompt_ids(scenario, scenario.student()) == [prompt_id]
