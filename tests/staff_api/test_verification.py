"""The verification queue in the staff API: progress, dead letters, retry."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, update

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.roll_call.tables import VerificationTask, VerificationThroughput
from backend.roll_call.verification.queue import record_throughput
from backend.staff_api.roll_calls.verification import router
from tests.support.province import bureau_account, counselor_account, province_account
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.staff_client import StaffClient, is_same_refusal, staff_client

SECOND = timedelta(seconds=1)


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    scenario = await create_scenario(app_context, owner)
    async with scenario.owner_transaction() as session:
        await session.execute(delete(VerificationTask))
        await session.execute(delete(VerificationThroughput))
    return scenario


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, router)
    yield client
    await client.http.aclose()


async def create_dead_letters(scenario: RollCallScenario, count: int) -> tuple[UUID, list[UUID]]:
    """Create a roll call with `count` dead letters, a second apart."""
    launched = await scenario.launch()
    submissions = []
    for pupil in scenario.school.students[:count]:
        submission_id = await scenario.check_in(await scenario.activate(pupil), launched.roll_call.id)
        scenario.clock.at += SECOND
        async with scenario.owner_transaction() as session:
            await session.execute(
                update(VerificationTask)
                .where(VerificationTask.submission_id == submission_id)
                .values(state="dead", died_at=scenario.clock(), attempts=5, last_error="judging_failed")
            )
        submissions.append(submission_id)
    return launched.roll_call.id, submissions


async def test_launcher_sees_verification_progress_and_time_left(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    launched = await scenario.launch()
    path = f"/v1/roll-calls/{launched.roll_call.id}/verification"
    empty = (await api.get(scenario.bureau, path)).json()
    assert (empty["waiting"], empty["oldest_seconds"], empty["seconds_left"]) == (0, None, 0)
    for pupil in scenario.school.students[:2]:
        await scenario.check_in(await scenario.activate(pupil), launched.roll_call.id)
    scenario.clock.at += 5 * SECOND
    unknown = (await api.get(scenario.bureau, path)).json()
    assert (unknown["waiting"], unknown["oldest_seconds"]) == (2, 5)
    assert (unknown["seconds_left"], unknown["all_judged_at"]) == (None, None)
    async with scenario.owner_transaction() as session:
        await record_throughput(session, "one", 3, 12.0, scenario.clock())
    measured = (await api.get(scenario.bureau, path)).json()
    assert (measured["judged_last_minute"], measured["seconds_left"]) == (3, 8)
    assert measured["all_judged_at"] is not None


async def test_dead_letters_are_listed_newest_first_with_advice(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    roll_call_id, submissions = await create_dead_letters(scenario, 3)
    listed = await api.every(scenario.bureau, "/v1/dead-letters", limit=2)
    assert [each["submission_id"] for each in listed] == [str(each) for each in submissions[::-1]]
    first = listed[0]
    assert (first["code"], first["attempts"], first["age_seconds"]) == ("judging_failed", 5, 1)
    assert "证据存储" in first["zh"]
    assert "evidence store" in first["en"]
    of_one = await api.every(scenario.bureau, "/v1/dead-letters", roll_call_id=str(roll_call_id))
    assert len(of_one) == 3


async def test_retry_requeues_one_or_all_dead_letters(api: StaffClient, scenario: RollCallScenario) -> None:
    roll_call_id, submissions = await create_dead_letters(scenario, 3)
    path = f"/v1/dead-letters/{submissions[0]}/retry"
    assert (await api.post(scenario.bureau, path, {})).json() == {"retried": 1}
    task = await scenario.task(submissions[0])
    assert task is not None
    assert (task.state, task.attempts, task.not_before) == ("waiting", 0, scenario.clock())
    again = await api.post(scenario.bureau, path, {})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    rest = f"/v1/roll-calls/{roll_call_id}/dead-letters/retry"
    assert (await api.post(province_account(scenario.world.province), rest, {})).json() == {"retried": 2}
    assert (await api.post(scenario.bureau, rest, {})).json() == {"retried": 0}


@pytest.mark.clause("HN334-2.3")
async def test_only_the_launching_side_may_read_and_retry(
    api: StaffClient, scenario: RollCallScenario
) -> None:
    roll_call_id, [submission_id] = await create_dead_letters(scenario, 1)
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    other_bureau = bureau_account(scenario.world.other_city)
    for actor in (scenario.registrar, counselor):
        for answer in (
            await api.get(actor, f"/v1/roll-calls/{roll_call_id}/verification"),
            await api.post(actor, f"/v1/dead-letters/{submission_id}/retry", {}),
            await api.post(actor, f"/v1/roll-calls/{roll_call_id}/dead-letters/retry", {}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert (await api.get(scenario.registrar, "/v1/dead-letters")).json()["items"] == []
    assert (await api.get(counselor, "/v1/dead-letters")).status_code == 403
    assert (await api.get(other_bureau, "/v1/dead-letters")).json()["items"] == []
    foreign = await api.post(other_bureau, f"/v1/dead-letters/{submission_id}/retry", {})
    assert is_same_refusal(foreign, await api.post(other_bureau, f"/v1/dead-letters/{new_id()}/retry", {}))
    assert foreign.status_code == 404
