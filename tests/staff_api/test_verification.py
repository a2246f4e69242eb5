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
from tests.support.roll_call.scenario import Stage, staged
from tests.support.staff_client import StaffClient, same_refusal, staff_client

SECOND = timedelta(seconds=1)


@pytest.fixture
async def stage(app_context: AppContext, owner: Database) -> Stage:
    stage = await staged(app_context, owner)
    async with stage.arrange() as session:
        await session.execute(delete(VerificationTask))
        await session.execute(delete(VerificationThroughput))
    return stage


@pytest.fixture
async def api(stage: Stage) -> AsyncIterator[StaffClient]:
    client = staff_client(stage.app_context, router)
    yield client
    await client.http.aclose()


async def create_dead_letters(stage: Stage, count: int) -> tuple[UUID, list[UUID]]:
    """Create a roll call with `count` dead letters, a second apart."""
    launched = await stage.launch()
    submissions = []
    for pupil in stage.school.students[:count]:
        submission_id = await stage.check_in(await stage.activate(pupil), launched.roll_call.id)
        stage.clock.at += SECOND
        async with stage.arrange() as session:
            await session.execute(
                update(VerificationTask)
                .where(VerificationTask.submission_id == submission_id)
                .values(state="dead", died_at=stage.clock(), attempts=5, last_error="judging_failed")
            )
        submissions.append(submission_id)
    return launched.roll_call.id, submissions


async def test_launcher_sees_verification_progress_and_time_left(api: StaffClient, stage: Stage) -> None:
    launched = await stage.launch()
    path = f"/v1/roll-calls/{launched.roll_call.id}/verification"
    empty = (await api.get(stage.bureau, path)).json()
    assert (empty["waiting"], empty["oldest_seconds"], empty["seconds_left"]) == (0, None, 0)
    for pupil in stage.school.students[:2]:
        await stage.check_in(await stage.activate(pupil), launched.roll_call.id)
    stage.clock.at += 5 * SECOND
    unknown = (await api.get(stage.bureau, path)).json()
    assert (unknown["waiting"], unknown["oldest_seconds"]) == (2, 5)
    assert (unknown["seconds_left"], unknown["all_judged_at"]) == (None, None)
    async with stage.arrange() as session:
        await record_throughput(session, "one", 3, 12.0, stage.clock())
    measured = (await api.get(stage.bureau, path)).json()
    assert (measured["judged_last_minute"], measured["seconds_left"]) == (3, 8)
    assert measured["all_judged_at"] is not None


async def test_dead_letters_are_listed_newest_first_with_advice(api: StaffClient, stage: Stage) -> None:
    roll_call_id, submissions = await create_dead_letters(stage, 3)
    listed = await api.every(stage.bureau, "/v1/dead-letters", limit=2)
    assert [each["submission_id"] for each in listed] == [str(each) for each in submissions[::-1]]
    first = listed[0]
    assert (first["code"], first["attempts"], first["age_seconds"]) == ("judging_failed", 5, 1)
    assert "证据存储" in first["zh"]
    assert "evidence store" in first["en"]
    of_one = await api.every(stage.bureau, "/v1/dead-letters", roll_call_id=str(roll_call_id))
    assert len(of_one) == 3


async def test_retry_requeues_one_or_all_dead_letters(api: StaffClient, stage: Stage) -> None:
    roll_call_id, submissions = await create_dead_letters(stage, 3)
    path = f"/v1/dead-letters/{submissions[0]}/retry"
    assert (await api.post(stage.bureau, path, {})).json() == {"retried": 1}
    task = await stage.task(submissions[0])
    assert task is not None
    assert (task.state, task.attempts, task.not_before) == ("waiting", 0, stage.clock())
    again = await api.post(stage.bureau, path, {})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    rest = f"/v1/roll-calls/{roll_call_id}/dead-letters/retry"
    assert (await api.post(province_account(stage.world.province), rest, {})).json() == {"retried": 2}
    assert (await api.post(stage.bureau, rest, {})).json() == {"retried": 0}


@pytest.mark.clause("HN334-2.3")
async def test_only_the_launching_side_may_read_and_retry(api: StaffClient, stage: Stage) -> None:
    roll_call_id, [submission_id] = await create_dead_letters(stage, 1)
    counselor = counselor_account(stage.school, stage.school.classes[0])
    other_bureau = bureau_account(stage.world.other_city)
    for actor in (stage.registrar, counselor):
        for answer in (
            await api.get(actor, f"/v1/roll-calls/{roll_call_id}/verification"),
            await api.post(actor, f"/v1/dead-letters/{submission_id}/retry", {}),
            await api.post(actor, f"/v1/roll-calls/{roll_call_id}/dead-letters/retry", {}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert (await api.get(stage.registrar, "/v1/dead-letters")).json()["items"] == []
    assert (await api.get(counselor, "/v1/dead-letters")).status_code == 403
    assert (await api.get(other_bureau, "/v1/dead-letters")).json()["items"] == []
    foreign = await api.post(other_bureau, f"/v1/dead-letters/{submission_id}/retry", {})
    assert same_refusal(foreign, await api.post(other_bureau, f"/v1/dead-letters/{new_id()}/retry", {}))
    assert foreign.status_code == 404
