"""A service outage extends the window, so that students get the time the launch announced."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from backend.core.availability import record_overload
from backend.core.tables import AuditEntry, ServiceOverload
from backend.notice.tables import NoticeMessage
from backend.roll_call.events import RollCallExtended
from backend.roll_call.launch import notifications
from backend.roll_call.rules import compute_extended_close
from backend.roll_call.settlement.extension import extend_roll_call
from backend.roll_call.settlement.tasks import run_due_steps
from backend.roll_call.tables import RollCall, RollCallExtension, RollCallStep
from tests.support.roll_call.scenario import RollCallScenario

pytestmark = pytest.mark.clause("R8")

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
OPENS = datetime(2026, 11, 23, 1, tzinfo=UTC)
CLOSES = OPENS + 60 * MINUTE
LONGEST = 240 * MINUTE


def close_after_loss(lost: int, at: datetime, deadline: datetime = CLOSES) -> datetime | None:
    return compute_extended_close(CLOSES, deadline, lost * MINUTE, at, LONGEST)


def test_lost_time_is_added_to_the_close() -> None:
    assert close_after_loss(12, CLOSES - 30 * SECOND) == CLOSES + 12 * MINUTE


def test_time_lost_at_the_close_is_added_from_now() -> None:
    assert close_after_loss(12, CLOSES + 20 * MINUTE) == CLOSES + 32 * MINUTE


def test_lost_time_is_compensated_only_once() -> None:
    assert close_after_loss(12, CLOSES + 5 * MINUTE, CLOSES + 12 * MINUTE) is None
    assert close_after_loss(12, CLOSES + 90 * MINUTE, CLOSES + 12 * MINUTE) is None
    assert close_after_loss(20, CLOSES + 5 * MINUTE, CLOSES + 12 * MINUTE) == CLOSES + 20 * MINUTE


def test_late_worker_does_not_extend_an_available_window() -> None:
    assert close_after_loss(0, CLOSES + 90 * MINUTE) is None


def test_extension_is_limited_by_policy() -> None:
    assert close_after_loss(60, CLOSES + 180 * MINUTE) == CLOSES + LONGEST
    assert close_after_loss(60, CLOSES + 180 * MINUTE + SECOND) is None


@given(st.integers(0, 60), st.integers(-60, 300), st.integers(0, 240))
def test_extension_never_shortens_the_window(lost: int, minute: int, earlier: int) -> None:
    at, deadline = CLOSES + minute * MINUTE, CLOSES + earlier * MINUTE
    until = close_after_loss(lost, at, deadline)
    assert until is None or (until > deadline and until > at)


async def load_extensions(scenario: RollCallScenario, roll_call: RollCall) -> list[timedelta]:
    async with scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(RollCallExtension.until).where(RollCallExtension.roll_call_id == roll_call.id)
        )
        return sorted(until - roll_call.closes_at for until in rows)


async def is_settled(scenario: RollCallScenario, roll_call: RollCall) -> bool:
    async with scenario.owner_transaction() as session:
        return await session.get(RollCallStep, (roll_call.id, "settled")) is not None


async def test_available_window_is_not_extended(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    await scenario.record_heartbeats(roll_call)
    scenario.clock.at = roll_call.closes_at - 30 * SECOND
    await run_due_steps(scenario.app_context)
    assert await load_extensions(scenario, roll_call) == []


async def test_check_in_after_the_original_close_is_in_time(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    student = await scenario.activate(scenario.school.students[0])
    await scenario.record_heartbeats(roll_call, but=range(20, 35))
    scenario.clock.at = roll_call.closes_at - 30 * SECOND
    await run_due_steps(scenario.app_context)
    assert await load_extensions(scenario, roll_call) == [15 * MINUTE]
    scenario.clock.at = roll_call.closes_at + 10 * MINUTE
    await run_due_steps(scenario.app_context)
    assert not await is_settled(scenario, roll_call)
    await scenario.check_in(student, roll_call.id)
    assert await scenario.count_submissions(student) == 1


@pytest.mark.parametrize(("seconds", "extensions"), [(300, []), (420, [7 * MINUTE])])
async def test_time_of_load_shedding_is_compensated(
    scenario: RollCallScenario, seconds: int, extensions: list[timedelta]
) -> None:
    roll_call = (await scenario.launch()).roll_call
    await scenario.record_heartbeats(roll_call)
    first = roll_call.opens_at.replace(microsecond=0) + 10 * MINUTE
    async with scenario.owner_transaction() as session:
        await session.execute(delete(ServiceOverload))
        await record_overload(session, {first + number * SECOND: 3 for number in range(seconds)})
    scenario.clock.at = roll_call.closes_at - 30 * SECOND
    await run_due_steps(scenario.app_context)
    async with scenario.owner_transaction() as session:
        await session.execute(delete(ServiceOverload))
    assert await load_extensions(scenario, roll_call) == extensions


async def test_roll_call_is_settled_after_the_extension(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    await scenario.record_heartbeats(roll_call, but=range(20, 35))
    scenario.clock.at = roll_call.closes_at - 30 * SECOND
    await run_due_steps(scenario.app_context)
    scenario.clock.at = roll_call.closes_at + 15 * MINUTE + SECOND
    await run_due_steps(scenario.app_context)
    assert await is_settled(scenario, roll_call)


async def test_outage_at_the_close_reopens_the_window(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    await scenario.record_heartbeats(roll_call, but=range(50, 75))
    scenario.clock.at = roll_call.closes_at + 15 * MINUTE
    await run_due_steps(scenario.app_context)
    extensions = await load_extensions(scenario, roll_call)
    assert not await is_settled(scenario, roll_call)
    assert len(extensions) == 1
    assert (
        extensions[0] >= 25 * MINUTE
    )  # ten minutes were lost in the window, and fifteen have passed since its close


async def test_extension_is_notified_and_audited(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    await scenario.record_heartbeats(roll_call, but=range(20, 35))
    scenario.clock.at = roll_call.closes_at - 30 * SECOND
    await run_due_steps(scenario.app_context)
    assert len(await scenario.load_events("RollCallExtended", roll_call.id)) == 1
    event = RollCallExtended(roll_call_id=roll_call.id, path=roll_call.launcher_path, until=scenario.clock())
    async with scenario.owner_transaction() as session:
        assert await notifications.notify_extended(session, event, scenario.clock())
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "roll_call.extend"))
        notice = await session.scalar(select(NoticeMessage).where(NoticeMessage.kind == "roll_call_extended"))
    assert entry is not None
    assert notice is not None


async def test_voided_roll_call_is_not_extended(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    async with scenario.owner_transaction() as session:
        session.add(
            RollCallStep(
                roll_call_id=roll_call.id,
                step="voided",
                acting_account=None,
                reason="全市停电",
                figures=None,
                at=scenario.clock(),
            )
        )
        await session.flush()
        assert await extend_roll_call(session, roll_call.id, roll_call.closes_at) is None
