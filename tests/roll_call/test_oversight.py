"""Urging until the close, and voiding: by whom, when, and what becomes of everyone."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.errors import Conflict, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.events import deliver
from backend.notice.tables import Notice, NoticeMessage
from backend.roll_call.check_in.evaluate import Received
from backend.roll_call.errors import ResultClosed, UrgedRecently, UrgingClosed
from backend.roll_call.oversight import ReminderSent, send_reminder, void_roll_call
from backend.roll_call.rules import Outcome
from backend.roll_call.settlement.determination import Determine, determine
from backend.roll_call.settlement.service import resettle, settle_roll_call
from backend.roll_call.tables import RollCall, RollCallStep
from tests.support.province import bureau_account, counselor_account, province_account, registrar_account
from tests.support.roll_call.scenario import GRACE, MICROSECOND, Stage
from tests.support.roll_call.student_phone import burst, envelope

pytestmark = pytest.mark.clause("HN334-3.4")


async def urged(stage: Stage, actor: Actor, roll_call: RollCall, class_id: UUID | None = None) -> int:
    async with stage.app_context.database.transaction(actor.scope) as session:
        answer: ReminderSent = await send_reminder(session, actor, roll_call.id, class_id, stage.clock())
    return answer.students


async def voided(stage: Stage, actor: Actor, roll_call: RollCall) -> RollCall:
    async with stage.app_context.database.transaction(actor.scope) as session:
        return await void_roll_call(session, actor, roll_call.id, "全市停电", stage.clock())


async def deliver_all(stage: Stage, name: str, roll_call: RollCall) -> None:
    for event in await stage.events(name, roll_call.id):
        await deliver(stage.app_context, str(event.id))


async def told(stage: Stage, kind: str, roll_call: RollCall) -> dict[UUID, int]:
    """How many notices of a kind each student or account has."""
    who = func.coalesce(Notice.student_id, Notice.account_id)
    async with stage.arrange() as session:
        rows = await session.execute(
            select(who, func.count())
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.kind == kind, NoticeMessage.group_id == roll_call.id)
            .group_by(who)
        )
        return {row[0]: row[1] for row in rows}


# --- urging ---


async def test_urging_reaches_those_who_still_wait_and_nobody_else(stage: Stage) -> None:
    launched = await stage.launch()
    passed, *waiting = stage.school.students
    await stage.pass_check(await stage.activate(passed), launched.roll_call.id)
    assert await urged(stage, stage.registrar, launched.roll_call) == 5
    late = await stage.activate(waiting[0])
    await stage.pass_check(late, launched.roll_call.id)
    await deliver_all(stage, "RemindersSent", launched.roll_call)
    reached = await told(stage, "roll_call_urged", launched.roll_call)
    assert reached == {pupil.id: 1 for pupil in waiting[1:]}


async def test_a_counselor_urges_the_own_class_only(stage: Stage) -> None:
    launched = await stage.launch()
    mine, other = stage.school.classes
    counselor = counselor_account(stage.school, mine)
    with pytest.raises(NotFound):
        await urged(stage, counselor, launched.roll_call, other.id)
    with pytest.raises(NotFound):
        await urged(stage, counselor, launched.roll_call, new_id())
    assert await urged(stage, counselor, launched.roll_call) == 3
    await deliver_all(stage, "RemindersSent", launched.roll_call)
    reached = await told(stage, "roll_call_urged", launched.roll_call)
    assert set(reached) == {pupil.id for pupil in mine.students}


async def test_a_class_is_urged_once_in_the_interval_and_one_class_blocks_no_other(stage: Stage) -> None:
    launched = await stage.launch()
    mine, other = stage.school.classes
    counselor, colleague = (counselor_account(stage.school, klass) for klass in (mine, other))
    assert await urged(stage, counselor, launched.roll_call) == 3
    assert await urged(stage, colleague, launched.roll_call) == 3
    with pytest.raises(UrgedRecently):
        await urged(stage, stage.registrar, launched.roll_call)
    stage.clock.at += timedelta(minutes=10)
    assert await urged(stage, counselor, launched.roll_call, mine.id) == 3
    assert await urged(stage, stage.registrar, launched.roll_call) == 3


async def test_two_urgings_at_once_are_one(stage: Stage) -> None:
    launched = await stage.launch()
    answers = await asyncio.gather(
        *(urged(stage, stage.registrar, launched.roll_call) for _ in range(2)), return_exceptions=True
    )
    assert sorted(map(str, map(type, answers))) == sorted(map(str, (int, UrgedRecently)))


async def test_urging_begins_and_ends_with_the_window(stage: Stage) -> None:
    opens = stage.clock() + timedelta(minutes=1)
    launched = await stage.launch(opens_at=opens, closes_at=opens + timedelta(hours=1))
    for instant in (opens - MICROSECOND, launched.roll_call.closes_at + MICROSECOND):
        stage.clock.at = instant
        with pytest.raises(UrgingClosed):
            await urged(stage, stage.registrar, launched.roll_call)
    stage.clock.at = launched.roll_call.closes_at
    assert await urged(stage, stage.registrar, launched.roll_call) == 6


async def test_a_reminder_that_comes_too_late_is_not_sent(stage: Stage) -> None:
    launched = await stage.launch()
    await urged(stage, stage.registrar, launched.roll_call)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await deliver_all(stage, "RemindersSent", launched.roll_call)
    assert await told(stage, "roll_call_urged", launched.roll_call) == {}


async def test_only_registrars_and_counselors_urge(stage: Stage) -> None:
    launched = await stage.launch()
    for actor in (stage.bureau, province_account(stage.world.province)):
        with pytest.raises(NotPermitted):
            await urged(stage, actor, launched.roll_call)
    with pytest.raises(NotFound):
        await urged(stage, registrar_account(stage.world.sister), launched.roll_call)


# --- voiding ---


@pytest.mark.clause("R1")
async def test_those_present_stay_present_and_all_others_are_excused(stage: Stage) -> None:
    launched = await stage.launch()
    passed, *others = stage.school.students
    await stage.pass_check(await stage.activate(passed), launched.roll_call.id)
    await voided(stage, stage.bureau, launched.roll_call)
    outcomes = await stage.outcomes(launched.roll_call.id)
    assert (outcomes[passed.id].outcome, outcomes[passed.id].seq) == ("present", 1)
    assert {(outcomes[pupil.id].outcome, outcomes[pupil.id].reason) for pupil in others} == {
        ("excused", "voided")
    }
    assert len(outcomes) == launched.owed


@pytest.mark.clause("R1")
async def test_voiding_after_the_settlement_takes_the_misses_back(stage: Stage) -> None:
    launched = await stage.launch()
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    assert (await stage.settle(launched.roll_call)).figures["missed"] == 6
    await voided(stage, stage.bureau, launched.roll_call)
    outcomes = await stage.outcomes(launched.roll_call.id)
    assert {(entry.outcome, entry.seq) for entry in outcomes.values()} == {("excused", 2)}
    assert len(await stage.events("OutcomeChanged", launched.roll_call.id)) == 6


async def test_only_the_launcher_or_one_above_voids(stage: Stage) -> None:
    launched = await stage.launch()
    for actor in (stage.registrar, counselor_account(stage.school, stage.school.classes[0])):
        with pytest.raises(NotPermitted):
            await voided(stage, actor, launched.roll_call)
    with pytest.raises(NotFound):
        await voided(stage, bureau_account(stage.world.other_city), launched.roll_call)
    await voided(stage, province_account(stage.world.province), launched.roll_call)


async def test_a_bureau_does_not_void_what_the_province_launched(stage: Stage) -> None:
    launched = await stage.launch(province_account(stage.world.province))
    with pytest.raises(NotPermitted):
        await voided(stage, stage.bureau, launched.roll_call)


async def test_voiding_twice_is_a_conflict_even_at_once(stage: Stage) -> None:
    launched = await stage.launch()
    answers = await asyncio.gather(
        *(voided(stage, stage.bureau, launched.roll_call) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 1
    assert len(await stage.events("RollCallVoided", launched.roll_call.id)) == 1


async def test_voiding_waits_for_a_settlement_and_takes_its_misses_back(stage: Stage) -> None:
    launched = await stage.launch()
    roll_call = launched.roll_call
    stage.clock.at = roll_call.closes_at + MICROSECOND
    async with stage.app_context.database.transaction(Scope.wide(roll_call.launcher_path)) as session:
        assert (await settle_roll_call(session, roll_call.id, stage.clock())).figures["missed"] == 6
        voiding = asyncio.create_task(voided(stage, stage.bureau, roll_call))
        await stage.blocked()
        assert not voiding.done()
    await voiding
    outcomes = await stage.outcomes(roll_call.id)
    assert {(entry.outcome, entry.seq) for entry in outcomes.values()} == {("excused", 2)}


async def test_everyone_who_was_told_of_it_is_told_of_the_voiding(stage: Stage) -> None:
    registrar = await stage.account("registrar", stage.school)
    counselor = await stage.account("counselor", stage.school, stage.school.classes[0])
    launched = await stage.launch()
    await voided(stage, stage.bureau, launched.roll_call)
    for _ in range(2):
        await deliver_all(stage, "RollCallVoided", launched.roll_call)
    expected = {pupil.id for pupil in stage.school.students} | {registrar.account_id, counselor.account_id}
    assert await told(stage, "roll_call_voided", launched.roll_call) == dict.fromkeys(expected, 1)


async def test_a_secret_roll_call_that_is_voided_stays_secret(stage: Stage) -> None:
    notice = stage.clock() + timedelta(hours=1)
    launched = await stage.launch(notify_at=notice, opens_at=notice, closes_at=notice + timedelta(hours=1))
    await voided(stage, stage.bureau, launched.roll_call)
    await deliver_all(stage, "RollCallVoided", launched.roll_call)
    stage.clock.at = notice
    assert await stage.announce(launched.roll_call) == 0
    assert await told(stage, "roll_call_voided", launched.roll_call) == {}
    assert await told(stage, "roll_call_launched", launched.roll_call) == {}


async def test_a_determination_that_meets_a_voiding_makes_no_miss(stage: Stage) -> None:
    launched = await stage.launch()
    candidate = await stage.activate(stage.school.students[0])
    await stage.check_in(candidate, launched.roll_call.id)
    roll_call, bureau = launched.roll_call, stage.bureau
    stage.clock.at = roll_call.closes_at + 2 * GRACE + MICROSECOND
    await stage.settle(roll_call)
    command = Determine(roll_call.id, candidate.student_id, Outcome.MISSED, "经核实不在校")
    async with stage.app_context.database.transaction(bureau.scope) as session:
        await determine(session, bureau, command, stage.clock())
        voiding = asyncio.create_task(voided(stage, bureau, roll_call))
        await stage.blocked("advisory", "transactionid")
    await voiding
    assert await stage.outcome(roll_call.id, candidate) == ("excused", "voided")
    with pytest.raises(ResultClosed):
        async with stage.app_context.database.transaction(bureau.scope) as session:
            await determine(session, bureau, command, stage.clock())


async def test_a_late_settlement_of_one_student_that_meets_a_voiding_leaves_nobody_open(stage: Stage) -> None:
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
        voiding = asyncio.create_task(voided(stage, stage.bureau, roll_call))
        await stage.blocked("advisory", "transactionid")
    await voiding
    assert await stage.outcome(roll_call.id, candidate) == ("excused", "voided")


@pytest.mark.parametrize("step", ["voided", "settled"])
async def test_the_database_lets_no_school_end_its_superiors_roll_call(stage: Stage, step: str) -> None:
    launched = await stage.launch()
    registrar = stage.registrar
    row = RollCallStep(roll_call_id=launched.roll_call.id, step=step, reason="-", at=stage.clock())
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with stage.app_context.database.transaction(registrar.scope) as session:
            session.add(row)
