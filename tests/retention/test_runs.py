"""Retention runs are recorded, bounded and repeatable, and only the province can read them."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from backend.core.errors import NotPermitted
from backend.core.tenancy import Scope
from backend.retention import deletion
from backend.retention.queries import sum_by_kind
from backend.retention.schedule import next_run_after
from backend.retention.tables import RetentionRun
from backend.roll_call.tables import Submission, SubmissionFrame
from tests.support.pictures import remove_pictures
from tests.support.province import bureau_account, province_account
from tests.support.retention import DAY, check_in_missed, has_frames, run_retention
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone


async def test_run_is_recorded_and_the_next_one_finds_nothing(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_missed(scenario, student)
    async with scenario.owner_transaction() as session:
        row = await session.get_one(Submission, submission_id)
        frames = (
            await session.scalars(
                select(SubmissionFrame.size).where(SubmissionFrame.submission_id == submission_id)
            )
        ).all()
    first = (await run_retention(scenario, 31 * DAY))["frames"]
    assert (first.items, first.files, first.size_bytes) == (1, len(frames), sum(frames))
    assert first.oldest == first.newest == row.received_at
    second = (await run_retention(scenario))["frames"]
    assert (second.items, second.files, second.size_bytes, second.oldest) == (0, 0, None, None)


async def test_run_continues_over_all_batches(
    scenario: RollCallScenario, student: StudentWithPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "BATCH_SIZE", 1)
    sent = [await check_in_missed(scenario, student) for _ in range(3)]
    run = (await run_retention(scenario, 31 * DAY))["frames"]
    assert run.items == 3
    assert run.oldest is not None
    assert run.newest is not None
    assert run.oldest < run.newest
    assert [await has_frames(scenario, each) for each in sent] == [False] * 3


async def test_interrupted_run_is_completed_by_the_next_one(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    submission_id = await check_in_missed(scenario, student)
    async with scenario.owner_transaction() as session:
        row = await session.get_one(Submission, submission_id)
    await remove_pictures(scenario.app_context, [row.frame(number) for number in range(row.frame_count)])
    assert (await run_retention(scenario, 31 * DAY))["frames"].items == 1
    assert not await has_frames(scenario, submission_id)


async def test_only_the_province_can_read_runs(scenario: RollCallScenario) -> None:
    await run_retention(scenario)
    for scope in (
        Scope.school(scenario.school.id, scenario.school.path),
        Scope.wide(scenario.world.city.path),
    ):
        async with scenario.app_context.database.transaction(scope) as session:
            assert (await session.scalars(select(RetentionRun))).all() == []


async def test_summary_adds_up_the_runs_of_a_kind(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    province, always = province_account(scenario.world.province), datetime(2000, 1, 1, tzinfo=UTC)

    async def frames() -> tuple[int, int, int, int]:
        async with scenario.app_context.database.transaction(province.scope) as session:
            totals = {each.kind: each for each in await sum_by_kind(session, province, always)}
        total = totals["frames"]
        return total.runs, total.items, total.files, total.size_bytes or 0

    await check_in_missed(scenario, student)
    await run_retention(scenario)
    before = await frames()
    run = (await run_retention(scenario, 31 * DAY))["frames"]
    added = tuple(after - earlier for earlier, after in zip(before, await frames(), strict=True))
    assert added == (1, run.items, run.files, run.size_bytes)
    assert run.items > 0
    async with scenario.app_context.database.transaction(province.scope) as session:
        assert await sum_by_kind(session, province, datetime(2999, 1, 1, tzinfo=UTC)) == []
    bureau = bureau_account(scenario.world.city)
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        with pytest.raises(NotPermitted):
            await sum_by_kind(session, bureau, always)


@pytest.mark.parametrize(("minute", "hour_of_run"), [(0, 9), (36, 9), (37, 10), (59, 10)])
def test_next_run_is_the_first_one_after_the_instant(minute: int, hour_of_run: int) -> None:
    at = datetime(2026, 9, 1, 9, minute, 30, tzinfo=UTC)
    assert next_run_after(at) == datetime(2026, 9, 1, hour_of_run, 37, tzinfo=UTC)
