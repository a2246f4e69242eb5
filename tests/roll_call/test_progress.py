"""Progress: the children of every unit add up to it, and a counselor sees the own classes only."""

import json
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import update
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.org.tables import OrgUnit
from backend.people.tables import SchoolClass
from backend.roll_call.launch.audience import Audience
from backend.roll_call.oversight import void_roll_call
from backend.roll_call.progress import cache
from backend.roll_call.progress.access import CHANNEL, authorize_progress, publish_changed
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.counters import Miscount, flush_counters, miscounts, recount
from backend.roll_call.rules import Outcome
from backend.roll_call.tables import OutcomeCount, RollCall
from tests.support.province import bureau_account, counselor_account, plant_school, province_account
from tests.support.roll_call.scenario import MICROSECOND, Stage

pytestmark = [pytest.mark.clause("HN334-3.4"), pytest.mark.clause("HN334-2.3")]

SUMS = ("obligations", "exempt", "waiting", *Outcome)


Board = dict[str, Any]


async def progress(
    stage: Stage, actor: Actor, roll_call: RollCall, unit_id: UUID | None = None, *, anew: bool = False
) -> Board:
    """What the caller's dashboard shows; `anew` in a process that has not looked before."""
    asked = TotalsCache(stage.app_context) if anew else stage.app_context.service(TotalsCache)
    async with stage.app_context.database.transaction(actor.scope) as session:
        view = await authorize_progress(session, actor, roll_call.id, unit_id, stage.clock())
    board: Board = json.loads(view.drawn(await asked.fresh(roll_call.id, view.launcher_path)))
    return board


def adds_up(whole: Board) -> None:
    for name in SUMS:
        assert whole[name] == sum(child[name] for child in whole["children"]), name
    for line in (whole, *whole["children"]):
        assert line["obligations"] == line["waiting"] + sum(line[outcome] for outcome in Outcome)


@pytest.mark.parametrize("settled", [False, True])
async def test_children_add_up_at_every_level(stage: Stage, settled: bool) -> None:
    province = province_account(stage.world.province)
    async with stage.arrange() as session:
        county = await session.get_one(OrgUnit, stage.world.county.id)
        in_county = await plant_school(session, stage.app_context.keys, county, classes=1, students=2)
    schools = (stage.school, stage.world.sister, stage.world.direct, in_county)
    launched = await stage.launch(province, audience=Audience(unit_ids=tuple(each.id for each in schools)))
    passed = await stage.activate(stage.school.students[0])
    await stage.pass_check(passed, launched.roll_call.id)
    if settled:
        stage.clock.at = launched.roll_call.closes_at + MICROSECOND
        await stage.settle(launched.roll_call)

    top = await progress(stage, province, launched.roll_call)
    adds_up(top)
    assert (top["obligations"], top["present"], top["waiting"]) == (20, 1, 0 if settled else 19)
    kinds = {child["unit_id"]: child["kind"] for child in top["children"]}
    assert kinds[str(stage.world.city.id)] == "city"
    assert kinds[str(stage.world.direct.id)] == "school"
    for unit_id in (stage.world.city.id, stage.school.id, stage.world.county.id, in_county.id):
        adds_up(await progress(stage, province, launched.roll_call, unit_id))
    school = await progress(stage, province, launched.roll_call, stage.school.id)
    assert [child["present"] for child in school["children"]] == [1, 0]
    below_county = await progress(stage, province, launched.roll_call, stage.world.county.id)
    assert [child["unit_id"] for child in below_county["children"]] == [str(in_county.id)]


async def test_a_bureau_sees_its_own_branch_of_a_roll_call_of_the_province(stage: Stage) -> None:
    province = province_account(stage.world.province)
    schools = (stage.school.id, stage.world.direct.id)
    launched = await stage.launch(province, audience=Audience(unit_ids=schools))
    found = await progress(stage, stage.bureau, launched.roll_call)
    assert found["obligations"] == 6
    elsewhere = await progress(stage, province, launched.roll_call, stage.world.other_city.id)
    assert (elsewhere["obligations"], elsewhere["children"]) == (0, [])
    with pytest.raises(NotFound):
        await progress(stage, bureau_account(stage.world.other_city), launched.roll_call)


async def test_a_counselor_sees_the_own_classes_only(stage: Stage) -> None:
    launched = await stage.launch()
    klass = stage.school.classes[1]
    found = await progress(stage, counselor_account(stage.school, klass), launched.roll_call)
    adds_up(found)
    assert [(child["unit_id"], child["obligations"]) for child in found["children"]] == [(str(klass.id), 3)]


async def _fold(stage: Stage) -> int:
    async with stage.app_context.database.transaction(Scope.none()) as session:
        return await flush_counters(session)


async def _miscounts(stage: Stage, roll_call: RollCall) -> list[Miscount]:
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        return await miscounts(session, roll_call.id)


async def test_counters_agree_with_outcomes_before_and_after_folding(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await stage.activate(stage.school.students[0])
    await stage.pass_check(candidate, launched.roll_call.id)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await stage.settle(launched.roll_call)
    before = await progress(stage, stage.bureau, launched.roll_call)
    assert (before["present"], before["missed"], before["waiting"]) == (1, 5, 0)
    assert await _miscounts(stage, launched.roll_call) == []
    assert await _fold(stage) >= 1
    assert await progress(stage, stage.bureau, launched.roll_call) == before
    assert await _miscounts(stage, launched.roll_call) == []


async def test_a_process_that_looked_before_knows_what_one_that_looks_first_reads(stage: Stage) -> None:
    launched = await stage.launch()
    seen = [await progress(stage, stage.bureau, launched.roll_call)]
    for number in range(2):
        candidate = await stage.activate(stage.school.students[number])
        await stage.pass_check(candidate, launched.roll_call.id)
        for fold_between in (_fold, None):
            seen.append(await progress(stage, stage.bureau, launched.roll_call))
            assert seen[-1] == await progress(stage, stage.bureau, launched.roll_call, anew=True)
            if fold_between is not None:
                await fold_between(stage)
    assert [each["present"] for each in seen] == [0, 1, 1, 2, 2]


async def test_a_tally_that_is_old_is_read_anew_while_it_is_still_shown(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "LIFE_SECONDS", 0.0)
    launched = await stage.launch()
    await progress(stage, stage.registrar, launched.roll_call)
    async with stage.arrange() as session:
        (await session.get_one(SchoolClass, stage.school.classes[0].id)).name = "0 改名班"
    names = set[str]()
    while "0 改名班" not in names:
        board = await progress(stage, stage.registrar, launched.roll_call)
        assert board["obligations"] == 6
        names = {child["name"] for child in board["children"]}


async def test_an_outcome_that_replaces_another_is_counted_once(stage: Stage) -> None:
    launched = await stage.launch()
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await stage.settle(launched.roll_call)
    await _fold(stage)
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        await void_roll_call(session, stage.bureau, launched.roll_call.id, "全市停电", stage.clock())
    found = await progress(stage, stage.bureau, launched.roll_call)
    assert (found["missed"], found["excused"], found["waiting"]) == (0, 6, 0)
    assert await _miscounts(stage, launched.roll_call) == []


async def test_counters_that_went_wrong_are_found_and_counted_anew(stage: Stage) -> None:
    launched = await stage.launch()
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await stage.settle(launched.roll_call)
    await _fold(stage)
    klass = stage.school.classes[0]
    async with stage.arrange() as session:
        wrong = await session.get_one(OutcomeCount, (launched.roll_call.id, klass.id))
        wrong.missed += 2
    assert await _miscounts(stage, launched.roll_call) == [Miscount(klass.id, {"missed": 2})]
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        assert await recount(session, launched.roll_call.id) == len(stage.school.classes)
    assert await _miscounts(stage, launched.roll_call) == []
    assert (await progress(stage, stage.bureau, launched.roll_call))["missed"] == 6


async def test_who_knew_a_wrong_figure_of_a_class_without_results_learns_of_the_recount(stage: Stage) -> None:
    launched = await stage.launch()
    wrong = OutcomeCount(
        roll_call_id=launched.roll_call.id,
        school_id=stage.school.id,
        class_id=stage.school.classes[0].id,
        version=1,
        **dict.fromkeys(Outcome, 0) | {"present": 3},
    )
    async with stage.arrange() as session:
        session.add(wrong)
    assert (await progress(stage, stage.bureau, launched.roll_call))["present"] == 3
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        await recount(session, launched.roll_call.id)
    assert (await progress(stage, stage.bureau, launched.roll_call))["present"] == 0


async def test_the_application_cannot_write_a_counter(stage: Stage) -> None:
    async with stage.app_context.database.transaction(stage.bureau.scope) as session:
        with pytest.raises(ProgrammingError):
            await session.execute(update(OutcomeCount).values(missed=0))


async def test_a_verdict_pokes_whoever_watches(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await stage.activate(stage.school.students[0])
    async with stage.app_context.redis.pubsub() as subscription:
        await subscription.subscribe(CHANNEL + str(launched.roll_call.id))
        confirmed = await subscription.get_message(timeout=10)
        assert confirmed is not None
        await stage.pass_check(candidate, launched.roll_call.id)
        message = await subscription.get_message(timeout=10)
    assert message is not None
    assert message["type"] == "message"


async def test_a_poke_without_redis_is_lost_and_hurts_nobody() -> None:
    nowhere = Redis.from_url("unix:///nonexistent/redis.sock")
    await publish_changed(nowhere, new_id())
    await nowhere.aclose()
