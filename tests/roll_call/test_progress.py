"""Progress: totals of a unit equal the sum of its children, and counters agree with outcomes."""

import json
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select, update
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass
from backend.roll_call.launch.audience import Audience
from backend.roll_call.progress import cache
from backend.roll_call.progress.access import authorize_progress
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.changes import CHANNEL_PREFIX, publish_changed
from backend.roll_call.progress.counters import Miscount, find_miscounts, flush_counters, recount_outcomes
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeCount, RollCall
from backend.roll_call.voiding import void_roll_call
from tests.support.province import bureau_account, counselor_account, create_school, province_account
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario

pytestmark = [pytest.mark.clause("HN334-3.4"), pytest.mark.clause("HN334-2.3")]

SUMS = ("obligations", "exempt", "waiting", *Outcome)


Snapshot = dict[str, Any]


async def load_progress(
    scenario: RollCallScenario,
    actor: Actor,
    roll_call: RollCall,
    unit_id: UUID | None = None,
    *,
    fresh_cache: bool = False,
) -> Snapshot:
    """The snapshot for the caller, from the shared cache or from an empty one."""
    totals_cache = (
        TotalsCache(scenario.app_context) if fresh_cache else scenario.app_context.service(TotalsCache)
    )
    async with scenario.app_context.database.transaction(actor.scope) as session:
        access = await authorize_progress(session, actor, roll_call.id, unit_id, scenario.clock())
    totals = await totals_cache.load_current(roll_call.id, access.launcher_path)
    snapshot: Snapshot = json.loads(access.render(totals))
    return snapshot


def assert_adds_up(unit: Snapshot) -> None:
    for name in SUMS:
        assert unit[name] == sum(child[name] for child in unit["children"]), name
    for node in (unit, *unit["children"]):
        assert node["obligations"] == node["waiting"] + sum(node[outcome] for outcome in Outcome)


@pytest.mark.parametrize("settled", [False, True])
async def test_children_add_up_at_every_level(scenario: RollCallScenario, settled: bool) -> None:
    province = province_account(scenario.world.province)
    async with scenario.owner_transaction() as session:
        county = await session.get_one(OrgUnit, scenario.world.county.id)
        in_county = await create_school(session, scenario.app_context.keys, county, classes=1, students=2)
    schools = (scenario.school, scenario.world.sister, scenario.world.direct, in_county)
    launched = await scenario.launch(province, audience=Audience(unit_ids=tuple(each.id for each in schools)))
    passed = await scenario.activate(scenario.school.students[0])
    await scenario.pass_roll_call(passed, launched.roll_call.id)
    if settled:
        scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
        await scenario.settle(launched.roll_call)

    top = await load_progress(scenario, province, launched.roll_call)
    assert_adds_up(top)
    assert (top["obligations"], top["present"], top["waiting"]) == (20, 1, 0 if settled else 19)
    kinds = {child["unit_id"]: child["kind"] for child in top["children"]}
    assert kinds[str(scenario.world.city.id)] == "city"
    assert kinds[str(scenario.world.direct.id)] == "school"
    for unit_id in (scenario.world.city.id, scenario.school.id, scenario.world.county.id, in_county.id):
        assert_adds_up(await load_progress(scenario, province, launched.roll_call, unit_id))
    school = await load_progress(scenario, province, launched.roll_call, scenario.school.id)
    assert [child["present"] for child in school["children"]] == [1, 0]
    below_county = await load_progress(scenario, province, launched.roll_call, scenario.world.county.id)
    assert [child["unit_id"] for child in below_county["children"]] == [str(in_county.id)]


async def test_bureau_sees_its_branch_of_a_provincial_roll_call(scenario: RollCallScenario) -> None:
    province = province_account(scenario.world.province)
    schools = (scenario.school.id, scenario.world.direct.id)
    launched = await scenario.launch(province, audience=Audience(unit_ids=schools))
    snapshot = await load_progress(scenario, scenario.bureau, launched.roll_call)
    assert snapshot["obligations"] == 6
    elsewhere = await load_progress(scenario, province, launched.roll_call, scenario.world.other_city.id)
    assert (elsewhere["obligations"], elsewhere["children"]) == (0, [])
    with pytest.raises(NotFound):
        await load_progress(scenario, bureau_account(scenario.world.other_city), launched.roll_call)


async def test_counselor_sees_only_own_classes(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    klass = scenario.school.classes[1]
    snapshot = await load_progress(scenario, counselor_account(scenario.school, klass), launched.roll_call)
    assert_adds_up(snapshot)
    assert [(child["unit_id"], child["obligations"]) for child in snapshot["children"]] == [
        (str(klass.id), 3)
    ]


async def flush(scenario: RollCallScenario) -> int:
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        return await flush_counters(session)


async def load_miscounts(scenario: RollCallScenario, roll_call: RollCall) -> list[Miscount]:
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        return await find_miscounts(session, roll_call.id)


async def test_counters_agree_with_outcomes_before_and_after_flush(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await scenario.activate(scenario.school.students[0])
    await scenario.pass_roll_call(student, launched.roll_call.id)
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    before = await load_progress(scenario, scenario.bureau, launched.roll_call)
    assert (before["present"], before["missed"], before["waiting"]) == (1, 5, 0)
    assert await load_miscounts(scenario, launched.roll_call) == []
    assert await flush(scenario) >= 1
    assert await load_progress(scenario, scenario.bureau, launched.roll_call) == before
    assert await load_miscounts(scenario, launched.roll_call) == []


async def test_cached_totals_equal_freshly_loaded_totals(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    snapshots = [await load_progress(scenario, scenario.bureau, launched.roll_call)]
    for number in range(2):
        student = await scenario.activate(scenario.school.students[number])
        await scenario.pass_roll_call(student, launched.roll_call.id)
        for flush_between in (flush, None):
            snapshots.append(await load_progress(scenario, scenario.bureau, launched.roll_call))
            assert snapshots[-1] == await load_progress(
                scenario, scenario.bureau, launched.roll_call, fresh_cache=True
            )
            if flush_between is not None:
                await flush_between(scenario)
    assert [each["present"] for each in snapshots] == [0, 1, 1, 2, 2]


async def test_old_totals_are_reloaded_in_the_background(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_AGE_SECONDS", 0.0)
    launched = await scenario.launch()
    await load_progress(scenario, scenario.registrar, launched.roll_call)
    async with scenario.owner_transaction() as session:
        (await session.get_one(SchoolClass, scenario.school.classes[0].id)).name = "0 改名班"
    names = set[str]()
    while "0 改名班" not in names:
        snapshot = await load_progress(scenario, scenario.registrar, launched.roll_call)
        assert snapshot["obligations"] == 6
        names = {child["name"] for child in snapshot["children"]}


async def test_replaced_outcome_is_counted_once(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    await flush(scenario)
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await void_roll_call(session, scenario.bureau, launched.roll_call.id, "全市停电", scenario.clock())
    snapshot = await load_progress(scenario, scenario.bureau, launched.roll_call)
    assert (snapshot["missed"], snapshot["excused"], snapshot["waiting"]) == (0, 6, 0)
    assert await load_miscounts(scenario, launched.roll_call) == []


async def test_wrong_counters_are_found_and_recounted(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await scenario.settle(launched.roll_call)
    await flush(scenario)
    klass = scenario.school.classes[0]
    async with scenario.owner_transaction() as session:
        wrong = await session.get_one(OutcomeCount, (launched.roll_call.id, klass.id))
        wrong.missed += 2
    assert await load_miscounts(scenario, launched.roll_call) == [Miscount(klass.id, {"missed": 2})]
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        assert await recount_outcomes(session, launched.roll_call.id) == len(scenario.school.classes)
    assert await load_miscounts(scenario, launched.roll_call) == []
    assert (await load_progress(scenario, scenario.bureau, launched.roll_call))["missed"] == 6


async def test_recount_updates_cached_totals_of_class_without_results(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    async with scenario.owner_transaction() as session:
        version = await session.scalar(select(func.nextval("outcome_count_version")))
    wrong = OutcomeCount(
        roll_call_id=launched.roll_call.id,
        school_id=scenario.school.id,
        class_id=scenario.school.classes[0].id,
        version=version,
        **dict.fromkeys(Outcome, 0) | {"present": 3},
    )
    async with scenario.owner_transaction() as session:
        session.add(wrong)
    assert (await load_progress(scenario, scenario.bureau, launched.roll_call))["present"] == 3
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await recount_outcomes(session, launched.roll_call.id)
    assert (await load_progress(scenario, scenario.bureau, launched.roll_call))["present"] == 0


async def test_application_cannot_write_counters(scenario: RollCallScenario) -> None:
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        with pytest.raises(ProgrammingError):
            await session.execute(update(OutcomeCount).values(missed=0))


async def test_verdict_publishes_a_change(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await scenario.activate(scenario.school.students[0])
    async with scenario.app_context.redis.pubsub() as subscription:
        await subscription.subscribe(CHANNEL_PREFIX + str(launched.roll_call.id))
        confirmed = await subscription.get_message(timeout=10)
        assert confirmed is not None
        await scenario.pass_roll_call(student, launched.roll_call.id)
        message = await subscription.get_message(timeout=10)
    assert message is not None
    assert message["type"] == "message"


async def test_publishing_without_redis_does_nothing() -> None:
    nowhere = Redis.from_url("unix:///nonexistent/redis.sock")
    await publish_changed(nowhere, new_id())
    await nowhere.aclose()
