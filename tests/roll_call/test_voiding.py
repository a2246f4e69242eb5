"""Voiding: who may void a roll call, and what happens to its outcomes and notices."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.tenancy import Scope
from backend.roll_call.check_in.evaluate import Acknowledgement
from backend.roll_call.errors import ResultClosed
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.roll_call.settlement.resettlement import resettle
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.tables import RollCall, RollCallStep
from backend.roll_call.voiding import void_roll_call
from tests.support.province import bureau_account, counselor_account, province_account
from tests.support.roll_call.notices import count_notices, deliver_events
from tests.support.roll_call.scenario import GRACE, MICROSECOND, RollCallScenario
from tests.support.roll_call.student_phone import envelope, render_burst

pytestmark = pytest.mark.clause("HN334-3.4")


async def void(scenario: RollCallScenario, actor: Actor, roll_call: RollCall) -> RollCall:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        return await void_roll_call(session, actor, roll_call.id, "全市停电", scenario.clock())


@pytest.mark.clause("R1")
async def test_present_students_stay_present_and_others_are_excused(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    passed, *others = scenario.school.students
    await scenario.pass_roll_call(await scenario.activate(passed), launched.roll_call.id)
    await void(scenario, scenario.bureau, launched.roll_call)
    outcomes = await scenario.outcomes(launched.roll_call.id)
    assert (outcomes[passed.id].outcome, outcomes[passed.id].seq) == ("present", 1)
    assert {(outcomes[pupil.id].outcome, outcomes[pupil.id].reason) for pupil in others} == {
        ("excused", "voided")
    }
    assert len(outcomes) == launched.owed


@pytest.mark.clause("R1")
async def test_voiding_after_the_settlement_replaces_misses(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    assert (await scenario.settle(launched.roll_call)).figures["missed"] == 6
    await void(scenario, scenario.bureau, launched.roll_call)
    outcomes = await scenario.outcomes(launched.roll_call.id)
    assert {(entry.outcome, entry.seq) for entry in outcomes.values()} == {("excused", 2)}
    assert len(await scenario.load_events("OutcomeChanged", launched.roll_call.id)) == 6


async def test_only_the_launcher_or_its_superior_may_void(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    for actor in (scenario.registrar, counselor_account(scenario.school, scenario.school.classes[0])):
        with pytest.raises(NotPermitted):
            await void(scenario, actor, launched.roll_call)
    with pytest.raises(NotFound):
        await void(scenario, bureau_account(scenario.world.other_city), launched.roll_call)
    await void(scenario, province_account(scenario.world.province), launched.roll_call)


async def test_bureau_may_not_void_a_roll_call_of_the_province(scenario: RollCallScenario) -> None:
    launched = await scenario.launch(province_account(scenario.world.province))
    with pytest.raises(NotPermitted):
        await void(scenario, scenario.bureau, launched.roll_call)


async def test_voiding_twice_concurrently_is_a_conflict(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    answers = await asyncio.gather(
        *(void(scenario, scenario.bureau, launched.roll_call) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 1
    assert len(await scenario.load_events("RollCallVoided", launched.roll_call.id)) == 1


async def test_voiding_waits_for_settlement_and_replaces_its_misses(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    roll_call = launched.roll_call
    scenario.clock.at = roll_call.closes_at + MICROSECOND
    async with scenario.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
        assert (await settle_roll_call(session, roll_call.id, scenario.clock())).figures["missed"] == 6
        voiding = asyncio.create_task(void(scenario, scenario.bureau, roll_call))
        await scenario.wait_for_lock()
        assert not voiding.done()
    await voiding
    outcomes = await scenario.outcomes(roll_call.id)
    assert {(entry.outcome, entry.seq) for entry in outcomes.values()} == {("excused", 2)}


async def test_all_recipients_of_the_launch_are_notified_of_voiding(scenario: RollCallScenario) -> None:
    registrar = await scenario.account("registrar", scenario.school)
    counselor = await scenario.account("counselor", scenario.school, scenario.school.classes[0])
    launched = await scenario.launch()
    await void(scenario, scenario.bureau, launched.roll_call)
    for _ in range(2):
        await deliver_events(scenario, "RollCallVoided", launched.roll_call)
    expected = {pupil.id for pupil in scenario.school.students} | {registrar.account_id, counselor.account_id}
    assert await count_notices(scenario, "roll_call_voided", launched.roll_call) == dict.fromkeys(expected, 1)


async def test_voided_roll_call_before_its_notice_stays_secret(scenario: RollCallScenario) -> None:
    notice = scenario.clock() + timedelta(hours=1)
    launched = await scenario.launch(notify_at=notice, opens_at=notice, closes_at=notice + timedelta(hours=1))
    await void(scenario, scenario.bureau, launched.roll_call)
    await deliver_events(scenario, "RollCallVoided", launched.roll_call)
    scenario.clock.at = notice
    assert await scenario.announce(launched.roll_call) == 0
    assert await count_notices(scenario, "roll_call_voided", launched.roll_call) == {}
    assert await count_notices(scenario, "roll_call_launched", launched.roll_call) == {}


async def test_determination_concurrent_with_voiding_leaves_no_miss(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await scenario.activate(scenario.school.students[0])
    await scenario.check_in(student, launched.roll_call.id)
    roll_call, bureau = launched.roll_call, scenario.bureau
    scenario.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    await scenario.settle(roll_call)
    command = DetermineOutcome(roll_call.id, student.student_id, Outcome.MISSED, "经核实不在校")
    async with scenario.app_context.database.transaction(bureau.scope) as session:
        await determine_outcome(session, bureau, command, scenario.clock())
        voiding = asyncio.create_task(void(scenario, bureau, roll_call))
        await scenario.wait_for_lock("advisory", "transactionid")
    await voiding
    assert await scenario.outcome(roll_call.id, student) == ("excused", "voided")
    with pytest.raises(ResultClosed):
        async with scenario.app_context.database.transaction(bureau.scope) as session:
            await determine_outcome(session, bureau, command, scenario.clock())


async def test_resettlement_concurrent_with_voiding_ends_excused(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    student = await scenario.activate(scenario.school.students[0])
    roll_call = launched.roll_call
    nonce = await scenario.nonce(student, roll_call.id)
    signed = envelope(student, roll_call.id, nonce, render_burst(student.person))
    at = scenario.clock()
    scenario.clock.at = roll_call.closes_at + MICROSECOND
    await scenario.settle(roll_call)
    received = await scenario.send(student, roll_call.id, signed, at=at)
    assert isinstance(received, Acknowledgement)
    async with scenario.app_context.database.transaction(Scope.school(scenario.school.id)) as session:
        await resettle(session, received.submission_id, scenario.clock())
        voiding = asyncio.create_task(void(scenario, scenario.bureau, roll_call))
        await scenario.wait_for_lock("advisory", "transactionid")
    await voiding
    assert await scenario.outcome(roll_call.id, student) == ("excused", "voided")


@pytest.mark.parametrize("step", ["voided", "settled"])
async def test_database_stops_schools_from_ending_superior_roll_call(
    scenario: RollCallScenario, step: str
) -> None:
    launched = await scenario.launch()
    registrar = scenario.registrar
    row = RollCallStep(roll_call_id=launched.roll_call.id, step=step, reason="-", at=scenario.clock())
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with scenario.app_context.database.transaction(registrar.scope) as session:
            session.add(row)
