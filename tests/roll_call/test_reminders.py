"""Reminders during the window: who may send them, to whom, and how often."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.roll_call.errors import UrgedRecently, UrgingClosed
from backend.roll_call.reminders import ReminderSent, send_reminder
from backend.roll_call.tables import RollCall
from tests.support.province import counselor_account, province_account, registrar_account
from tests.support.roll_call.notices import count_notices, deliver_events
from tests.support.roll_call.scenario import MICROSECOND, Stage

pytestmark = pytest.mark.clause("HN334-3.4")


async def remind(stage: Stage, actor: Actor, roll_call: RollCall, class_id: UUID | None = None) -> int:
    async with stage.app_context.database.transaction(actor.scope) as session:
        sent: ReminderSent = await send_reminder(session, actor, roll_call.id, class_id, stage.clock())
    return sent.students


async def test_reminder_reaches_only_students_not_present(stage: Stage) -> None:
    launched = await stage.launch()
    passed, *waiting = stage.school.students
    await stage.pass_check(await stage.activate(passed), launched.roll_call.id)
    assert await remind(stage, stage.registrar, launched.roll_call) == 5
    late = await stage.activate(waiting[0])
    await stage.pass_check(late, launched.roll_call.id)
    await deliver_events(stage, "RemindersSent", launched.roll_call)
    reached = await count_notices(stage, "roll_call_urged", launched.roll_call)
    assert reached == {pupil.id: 1 for pupil in waiting[1:]}


async def test_counselor_reminds_only_own_class(stage: Stage) -> None:
    launched = await stage.launch()
    mine, other = stage.school.classes
    counselor = counselor_account(stage.school, mine)
    with pytest.raises(NotFound):
        await remind(stage, counselor, launched.roll_call, other.id)
    with pytest.raises(NotFound):
        await remind(stage, counselor, launched.roll_call, new_id())
    assert await remind(stage, counselor, launched.roll_call) == 3
    await deliver_events(stage, "RemindersSent", launched.roll_call)
    reached = await count_notices(stage, "roll_call_urged", launched.roll_call)
    assert set(reached) == {pupil.id for pupil in mine.students}


async def test_interval_between_reminders_applies_per_class(stage: Stage) -> None:
    launched = await stage.launch()
    mine, other = stage.school.classes
    counselor, colleague = (counselor_account(stage.school, klass) for klass in (mine, other))
    assert await remind(stage, counselor, launched.roll_call) == 3
    assert await remind(stage, colleague, launched.roll_call) == 3
    with pytest.raises(UrgedRecently):
        await remind(stage, stage.registrar, launched.roll_call)
    stage.clock.at += timedelta(minutes=10)
    assert await remind(stage, counselor, launched.roll_call, mine.id) == 3
    assert await remind(stage, stage.registrar, launched.roll_call) == 3


async def test_concurrent_reminders_are_sent_once(stage: Stage) -> None:
    launched = await stage.launch()
    answers = await asyncio.gather(
        *(remind(stage, stage.registrar, launched.roll_call) for _ in range(2)), return_exceptions=True
    )
    assert sorted(map(str, map(type, answers))) == sorted(map(str, (int, UrgedRecently)))


async def test_reminders_are_possible_only_in_the_window(stage: Stage) -> None:
    opens = stage.clock() + timedelta(minutes=1)
    launched = await stage.launch(opens_at=opens, closes_at=opens + timedelta(hours=1))
    for at in (opens - MICROSECOND, launched.roll_call.closes_at + MICROSECOND):
        stage.clock.at = at
        with pytest.raises(UrgingClosed):
            await remind(stage, stage.registrar, launched.roll_call)
    stage.clock.at = launched.roll_call.closes_at
    assert await remind(stage, stage.registrar, launched.roll_call) == 6


async def test_reminder_delivered_after_the_close_is_not_sent(stage: Stage) -> None:
    launched = await stage.launch()
    await remind(stage, stage.registrar, launched.roll_call)
    stage.clock.at = launched.roll_call.closes_at + MICROSECOND
    await deliver_events(stage, "RemindersSent", launched.roll_call)
    assert await count_notices(stage, "roll_call_urged", launched.roll_call) == {}


async def test_only_registrars_and_counselors_send_reminders(stage: Stage) -> None:
    launched = await stage.launch()
    for actor in (stage.bureau, province_account(stage.world.province)):
        with pytest.raises(NotPermitted):
            await remind(stage, actor, launched.roll_call)
    with pytest.raises(NotFound):
        await remind(stage, registrar_account(stage.world.sister), launched.roll_call)
