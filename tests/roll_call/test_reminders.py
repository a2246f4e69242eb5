"""Reminders during the window: who may send them, to whom, and how often."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.roll_call.errors import RemindedRecently, ReminderClosed
from backend.roll_call.reminders import ReminderSent, send_reminder
from backend.roll_call.tables import RollCall
from tests.support.province import counselor_account, province_account, registrar_account
from tests.support.roll_call.notices import count_notices, deliver_events
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario

pytestmark = pytest.mark.clause("HN334-3.4")


async def remind(
    scenario: RollCallScenario, actor: Actor, roll_call: RollCall, class_id: UUID | None = None
) -> int:
    async with scenario.app_context.database.transaction(actor.scope) as session:
        sent: ReminderSent = await send_reminder(session, actor, roll_call.id, class_id, scenario.clock())
    return sent.students


async def test_reminder_reaches_only_students_not_present(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    passed, *waiting = scenario.school.students
    await scenario.pass_roll_call(await scenario.activate(passed), launched.roll_call.id)
    assert await remind(scenario, scenario.registrar, launched.roll_call) == 5
    late = await scenario.activate(waiting[0])
    await scenario.pass_roll_call(late, launched.roll_call.id)
    await deliver_events(scenario, "RemindersSent", launched.roll_call)
    reached = await count_notices(scenario, "roll_call_urged", launched.roll_call)
    assert reached == {pupil.id: 1 for pupil in waiting[1:]}


async def test_counselor_reminds_only_own_class(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    mine, other = scenario.school.classes
    counselor = counselor_account(scenario.school, mine)
    with pytest.raises(NotFound):
        await remind(scenario, counselor, launched.roll_call, other.id)
    with pytest.raises(NotFound):
        await remind(scenario, counselor, launched.roll_call, new_id())
    assert await remind(scenario, counselor, launched.roll_call) == 3
    await deliver_events(scenario, "RemindersSent", launched.roll_call)
    reached = await count_notices(scenario, "roll_call_urged", launched.roll_call)
    assert set(reached) == {pupil.id for pupil in mine.students}


async def test_interval_between_reminders_applies_per_class(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    mine, other = scenario.school.classes
    counselor, colleague = (counselor_account(scenario.school, klass) for klass in (mine, other))
    assert await remind(scenario, counselor, launched.roll_call) == 3
    assert await remind(scenario, colleague, launched.roll_call) == 3
    with pytest.raises(RemindedRecently):
        await remind(scenario, scenario.registrar, launched.roll_call)
    scenario.clock.at += timedelta(minutes=10)
    assert await remind(scenario, counselor, launched.roll_call, mine.id) == 3
    assert await remind(scenario, scenario.registrar, launched.roll_call) == 3


async def test_concurrent_reminders_are_sent_once(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    answers = await asyncio.gather(
        *(remind(scenario, scenario.registrar, launched.roll_call) for _ in range(2)), return_exceptions=True
    )
    assert sorted(map(str, map(type, answers))) == sorted(map(str, (int, RemindedRecently)))


async def test_reminders_are_possible_only_in_the_window(scenario: RollCallScenario) -> None:
    opens = scenario.clock() + timedelta(minutes=1)
    launched = await scenario.launch(opens_at=opens, closes_at=opens + timedelta(hours=1))
    for at in (opens - MICROSECOND, launched.roll_call.closes_at + MICROSECOND):
        scenario.clock.at = at
        with pytest.raises(ReminderClosed):
            await remind(scenario, scenario.registrar, launched.roll_call)
    scenario.clock.at = launched.roll_call.closes_at
    assert await remind(scenario, scenario.registrar, launched.roll_call) == 6


async def test_reminder_delivered_after_the_close_is_not_sent(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    await remind(scenario, scenario.registrar, launched.roll_call)
    scenario.clock.at = launched.roll_call.closes_at + MICROSECOND
    await deliver_events(scenario, "RemindersSent", launched.roll_call)
    assert await count_notices(scenario, "roll_call_urged", launched.roll_call) == {}


async def test_only_registrars_and_counselors_send_reminders(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    for actor in (scenario.bureau, province_account(scenario.world.province)):
        with pytest.raises(NotPermitted):
            await remind(scenario, actor, launched.roll_call)
    with pytest.raises(NotFound):
        await remind(scenario, registrar_account(scenario.world.sister), launched.roll_call)
