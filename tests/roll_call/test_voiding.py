"""Voiding: who may void a roll call, and what happens to its outcomes and notices."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.tenancy import Scope
from backend.roll_call.check_in.evaluate import Received
from backend.roll_call.errors import ResultClosed
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import DetermineOutcome, determine_outcome
from backend.roll_call.settlement.resettlement import resettle
from backend.roll_call.settlement.service import settle_roll_call
from backend.roll_call.tables import RollCall, RollCallStep
from backend.roll_call.voiding import void_roll_call
from tests.support.province import bureau_account, counselor_account, province_account
from tests.support.roll_call.notices import count_notices, deliver_events
from tests.support.roll_call.scenario import GRACE, MICROSECOND, Stage
from tests.support.roll_call.student_phone import burst, envelope

pytestmark = pytest.mark.clause("HN334-3.4")


async def void(stage: Stage, actor: Actor, roll_call: RollCall) -> RollCall:
    async with stage.app_context.database.transaction(actor.scope) as session:
        return await void_roll_call(session, actor, roll_call.id, "全市停电", stage.clock())


@pytest.mark.clause("R1")
async def test_present_students_stay_present_and_others_are_excused(stage: Stage) -> None:
    launched = await stage.launch()
    passed, *others = stage.school.students
    await stage.pass_check(await stage.activate(passed), launched.roll_call.id)
    await void(stage, stage.bureau, launched.roll_call)
    outcomes = await stage.outcomes(launched.roll_call.id)
    assert (outcomes[passed.id].outcome, outcomes[passed.id].seq) == ("present", 1)
    assert {(outcomes[pupil.id].outcome, outcomes[pupil.id].reason) for pupil in others} == {
        ("excused", "voided")
    }
    assert len(outcomes) == launched.owed


@pytest.mark.clause("R1")
async def test_voiding_after_the_settlement_replaces_misses(stage: Stage) -> None:
    launched = await stage.launch()
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    assert (await stage.settle(launched.roll_call)).figures["missed"] == 6
    await void(stage, stage.bureau, launched.roll_call)
    outcomes = await stage.outcomes(launched.roll_call.id)
    assert {(entry.outcome, entry.seq) for entry in outcomes.values()} == {("excused", 2)}
    assert len(await stage.events("OutcomeChanged", launched.roll_call.id)) == 6


async def test_only_the_launcher_or_its_superior_may_void(stage: Stage) -> None:
    launched = await stage.launch()
    for actor in (stage.registrar, counselor_account(stage.school, stage.school.classes[0])):
        with pytest.raises(NotPermitted):
            await void(stage, actor, launched.roll_call)
    with pytest.raises(NotFound):
        await void(stage, bureau_account(stage.world.other_city), launched.roll_call)
    await void(stage, province_account(stage.world.province), launched.roll_call)


async def test_bureau_may_not_void_a_roll_call_of_the_province(stage: Stage) -> None:
    launched = await stage.launch(province_account(stage.world.province))
    with pytest.raises(NotPermitted):
        await void(stage, stage.bureau, launched.roll_call)


async def test_voiding_twice_concurrently_is_a_conflict(stage: Stage) -> None:
    launched = await stage.launch()
    answers = await asyncio.gather(
        *(void(stage, stage.bureau, launched.roll_call) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 1
    assert len(await stage.events("RollCallVoided", launched.roll_call.id)) == 1


async def test_voiding_waits_for_settlement_and_replaces_its_misses(stage: Stage) -> None:
    launched = await stage.launch()
    roll_call = launched.roll_call
    stage.clock.at = roll_call.closes_at + MICROSECOND
    async with stage.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
        assert (await settle_roll_call(session, roll_call.id, stage.clock())).figures["missed"] == 6
        voiding = asyncio.create_task(void(stage, stage.bureau, roll_call))
        await stage.blocked()
        assert not voiding.done()
    await voiding
    outcomes = await stage.outcomes(roll_call.id)
    assert {(entry.outcome, entry.seq) for entry in outcomes.values()} == {("excused", 2)}


async def test_all_recipients_of_the_launch_are_notified_of_voiding(stage: Stage) -> None:
    registrar = await stage.account("registrar", stage.school)
    counselor = await stage.account("counselor", stage.school, stage.school.classes[0])
    launched = await stage.launch()
    await void(stage, stage.bureau, launched.roll_call)
    for _ in range(2):
        await deliver_events(stage, "RollCallVoided", launched.roll_call)
    expected = {pupil.id for pupil in stage.school.students} | {registrar.account_id, counselor.account_id}
    assert await count_notices(stage, "roll_call_voided", launched.roll_call) == dict.fromkeys(expected, 1)


async def test_voided_roll_call_before_its_notice_stays_secret(stage: Stage) -> None:
    notice = stage.clock() + timedelta(hours=1)
    launched = await stage.launch(notify_at=notice, opens_at=notice, closes_at=notice + timedelta(hours=1))
    await void(stage, stage.bureau, launched.roll_call)
    await deliver_events(stage, "RollCallVoided", launched.roll_call)
    stage.clock.at = notice
    assert await stage.announce(launched.roll_call) == 0
    assert await count_notices(stage, "roll_call_voided", launched.roll_call) == {}
    assert await count_notices(stage, "roll_call_launched", launched.roll_call) == {}


async def test_determination_concurrent_with_voiding_leaves_no_miss(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await stage.activate(stage.school.students[0])
    await stage.check_in(candidate, launched.roll_call.id)
    roll_call, bureau = launched.roll_call, stage.bureau
    stage.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    await stage.settle(roll_call)
    command = DetermineOutcome(roll_call.id, candidate.student_id, Outcome.MISSED, "经核实不在校")
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await determine_outcome(session, bureau, command, stage.clock())
        voiding = asyncio.create_task(void(stage, bureau, roll_call))
        await stage.blocked("advisory", "transactionid")
    await voiding
    assert await stage.outcome(roll_call.id, candidate) == ("excused", "voided")
    with pytest.raises(ResultClosed):
        async with stage.app_context.database.transaction(bureau.scope) as session:
            await determine_outcome(session, bureau, command, stage.clock())


async def test_resettlement_concurrent_with_voiding_ends_excused(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await stage.activate(stage.school.students[0])
    roll_call = launched.roll_call
    nonce = await stage.nonce(candidate, roll_call.id)
    signed = envelope(candidate, roll_call.id, nonce, burst(candidate.person))
    at = stage.clock()
    stage.clock.at = roll_call.closes_at + MICROSECOND
    await stage.settle(roll_call)
    received = await stage.send(candidate, roll_call.id, signed, at=at)
    assert isinstance(received, Received)
    async with stage.app_context.database.transaction(Scope.school(stage.school.id)) as session:
        await resettle(session, received.submission_id, stage.clock())
        voiding = asyncio.create_task(void(stage, stage.bureau, roll_call))
        await stage.blocked("advisory", "transactionid")
    await voiding
    assert await stage.outcome(roll_call.id, candidate) == ("excused", "voided")


@pytest.mark.parametrize("step", ["voided", "settled"])
async def test_database_stops_schools_from_ending_superior_roll_call(stage: Stage, step: str) -> None:
    launched = await stage.launch()
    registrar = stage.registrar
    row = RollCallStep(roll_call_id=launched.roll_call.id, step=step, reason="-", at=stage.clock())
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with stage.app_context.database.transaction(registrar.scope) as session:
            session.add(row)
