"""The curve of a roll call: its points are sums of the minutes, and its last point equals the totals."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.tenancy import Scope
from backend.roll_call.launch.audience import Audience
from backend.roll_call.progress.counters import flush_counters, recount_outcomes
from backend.roll_call.progress.series import MAX_STEPS, Change, Curve, accumulate, choose_step, load_curve
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.roll_call.tables import RollCall
from tests.support.province import bureau_account, counselor_account, province_account
from tests.support.roll_call.scenario import GRACE, MICROSECOND, RollCallScenario

BEGIN = datetime(2026, 11, 12, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

changes_strategy = st.lists(
    st.builds(
        Change,
        st.integers(-30, 400).map(lambda minute: BEGIN + minute * MINUTE),
        st.tuples(*[st.integers(-3, 40)] * 4),
    ),
    max_size=40,
)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3000)))
def test_curve_never_has_more_steps_than_allowed(length: timedelta) -> None:
    step = choose_step(length)
    assert length <= step * MAX_STEPS
    assert step % MINUTE == timedelta(0)


@given(changes_strategy, st.integers(0, 300), st.integers(1, 30))
def test_each_point_is_the_sum_of_the_changes_before_it(
    changes: list[Change], minutes: int, step: int
) -> None:
    end = BEGIN + minutes * MINUTE
    points = accumulate(changes, BEGIN, end, step * MINUTE)
    assert points[0].at == BEGIN
    assert points[-1].at == end
    assert all(0 < (b.at - a.at) / MINUTE <= step for a, b in itertools.pairwise(points))
    for point in points:
        before = [each.counts for each in changes if each.at < point.at]
        assert point.counts == tuple(sum(each[n] for each in before) for n in range(4))


async def load(
    scenario: RollCallScenario, actor: Actor, roll_call: RollCall, *, unit: object = None
) -> Curve:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await load_curve(session, actor, roll_call.id, unit, scenario.clock())  # type: ignore[arg-type]


async def test_curve_rises_with_the_check_ins_and_ends_with_the_settlement(
    scenario: RollCallScenario,
) -> None:
    province = province_account(scenario.world.province)
    audience = Audience(unit_ids=(scenario.school.id, scenario.world.sister.id))
    roll_call = (await scenario.launch(province, audience=audience)).roll_call
    first, second = [await scenario.activate(each) for each in scenario.school.students[:2]]
    await scenario.pass_roll_call(first, roll_call.id)
    scenario.clock.at += 5 * MINUTE
    await scenario.pass_roll_call(second, roll_call.id)
    now = await load(scenario, province, roll_call)
    assert now.points[-1].counts == (2, 0, 0, 0)
    assert any(each.counts == (1, 0, 0, 0) for each in now.points)
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        await flush_counters(session)
    assert await load(scenario, province, roll_call) == now

    scenario.clock.at = roll_call.closes_at + MICROSECOND
    await scenario.settle(roll_call)
    scenario.clock.at += timedelta(days=2)
    settled = await load(scenario, province, roll_call)
    assert sum(settled.points[-1].counts) == settled.obligations
    assert settled.points[-1].counts[0] == 2
    assert settled.points[-1].at < scenario.clock.at - timedelta(days=1)
    async with scenario.owner_transaction() as session:
        await recount_outcomes(session, roll_call.id)
    assert await load(scenario, province, roll_call) == settled


async def test_correction_moves_no_earlier_point(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    student = await scenario.activate(scenario.school.students[0])
    await scenario.check_in(student, roll_call.id)
    scenario.clock.at = roll_call.closes_at + 3 * GRACE
    await scenario.settle(roll_call)
    before = await load(scenario, scenario.bureau, roll_call)
    assert before.points[-1].counts[3] == 1
    scenario.clock.at += timedelta(hours=3)
    command = DetermineOutcome(roll_call.id, student.student_id, Outcome.PRESENT, "现场核实")
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await determine_outcome(session, scenario.bureau, command, scenario.clock())
    assert await load(scenario, scenario.bureau, roll_call) == before
    async with scenario.owner_transaction() as session:
        await recount_outcomes(session, roll_call.id)
    assert await load(scenario, scenario.bureau, roll_call) == before


async def test_curve_of_a_unit_counts_its_schools_only(scenario: RollCallScenario) -> None:
    province = province_account(scenario.world.province)
    audience = Audience(unit_ids=(scenario.school.id, scenario.world.direct.id))
    roll_call = (await scenario.launch(province, audience=audience)).roll_call
    student = await scenario.activate(scenario.school.students[0])
    await scenario.pass_roll_call(student, roll_call.id)
    own = await load(scenario, scenario.bureau, roll_call)
    assert (own.obligations, own.points[-1].counts[0]) == (6, 1)
    other = await load(scenario, province, roll_call, unit=scenario.world.direct.id)
    assert other.points[-1].counts[0] == 0
    with pytest.raises(NotFound):
        await load(scenario, bureau_account(scenario.world.other_city), roll_call)
    with pytest.raises(NotPermitted):
        await load(scenario, counselor_account(scenario.school, scenario.school.classes[0]), roll_call)
