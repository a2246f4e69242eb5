"""A student's history by term, and the lists of what waits for staff."""

from collections.abc import AsyncIterator

import pytest

from backend.core.errors import NotPermitted
from backend.staff_api import work_queue
from backend.staff_api.standing import warnings
from backend.standing.student_view.history import load_history
from tests.support.province import counselor_account
from tests.support.staff_client import StaffClient, staff_client
from tests.support.standing.prompts import raise_prompt
from tests.support.standing.scenario import StandingScenario


@pytest.fixture
async def client(scenario: StandingScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, warnings.router, work_queue.router)
    yield client
    await client.http.aclose()


async def test_history_tells_counted_misses_from_others(scenario: StandingScenario) -> None:
    await scenario.misses(2, present=[scenario.school.classes[1].students[0]])
    student = scenario.student()
    async with scenario.transaction(student) as session:
        (before,) = await load_history(session, student)
    assert (before.roll_calls, before.missed, before.counted) == (2, 2, 0)
    await scenario.recompute()
    async with scenario.transaction(student) as session:
        (after,) = await load_history(session, student)
    assert (after.missed, after.counted, after.present, after.open) == (2, 2, 0, 0)
    other = scenario.student(scenario.school.classes[1].students[0])
    async with scenario.transaction(other) as session:
        (present,) = await load_history(session, other)
    assert (present.present, present.missed) == (2, 0)
    parts = ("exempt", "present", "missed", "excused", "undetermined", "open")
    assert all(
        each.roll_calls == sum(getattr(each, part) for part in parts) for each in (before, after, present)
    )


async def test_history_is_for_the_student_alone(scenario: StandingScenario) -> None:
    async with scenario.transaction(scenario.registrar) as session:
        with pytest.raises(NotPermitted):
            await load_history(session, scenario.registrar)


async def test_warned_students_are_listed_for_their_own_school(
    client: StaffClient, scenario: StandingScenario
) -> None:
    path = "/v1/student-warnings"
    assert await client.every(scenario.registrar, path) == []
    await scenario.misses(1)
    await scenario.recompute()
    (listed,) = await client.every(scenario.counselor, path)
    assert listed["student_id"] == str(scenario.pupil.id)
    assert [each["code"] for each in listed["warnings"]] == ["one_more_miss"]
    assert listed["student_name"]
    assert listed["warnings"][0]["zh"]
    other_class = scenario.school.classes[1]
    assert await client.every(counselor_account(scenario.school, other_class), path) == []
    assert await client.every(scenario.registrar, path, class_id=str(other_class.id)) == []
    assert (await client.get(scenario.bureau, path)).status_code == 403


async def test_work_queue_counts_what_the_caller_sees(
    client: StaffClient, scenario: StandingScenario
) -> None:
    await raise_prompt(scenario)
    own = (await client.get(scenario.counselor, "/v1/me/work-queue")).json()
    assert (own["prompts"], own["portraits"], own["leave"]) == (1, None, 0)
    colleague = counselor_account(scenario.school, scenario.school.classes[1])
    assert (await client.get(colleague, "/v1/me/work-queue")).json()["prompts"] == 0
    assert (await client.get(scenario.registrar, "/v1/me/work-queue")).json()["portraits"] == 0
