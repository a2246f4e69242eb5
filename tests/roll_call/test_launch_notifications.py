"""Notices of a launch: to every recipient, exactly once, and not before they are due."""

import asyncio
from datetime import timedelta

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound
from backend.core.listing.pages import PageRequest
from backend.events import deliver
from backend.people.tables import Student
from backend.roll_call.access import access_roll_call
from backend.roll_call.settlement.tasks import run_due_steps
from backend.roll_call.staff_queries import RollCallSearch, load_roll_calls_page
from backend.roll_call.student_queries import load_student_roll_call, load_student_roll_calls
from backend.roll_call.tables import RollCall
from tests.support.province import registrar_account, student_account
from tests.support.roll_call.notices import count_notices
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario

pytestmark = pytest.mark.clause("HN334-3.4")


async def visibility(scenario: RollCallScenario, actor: Actor, roll_call: RollCall) -> tuple[bool, bool]:
    """Whether the roll call is in the account's list, and whether the account can open it."""
    at = scenario.clock()
    async with scenario.app_context.database.transaction(actor.scope) as session:
        if actor.student_id is not None:
            views = await load_student_roll_calls(session, actor.student_id, at, None, 50)
            listed = {view.roll_call.id for view in views}
        else:
            listed = {
                row.id
                for row in (
                    await load_roll_calls_page(session, actor, RollCallSearch(), at, PageRequest(50))
                ).rows
            }
        try:
            if actor.role == "student":
                await load_student_roll_call(session, actor, roll_call.id, at)
            else:
                await access_roll_call(session, actor, roll_call.id, at)
        except NotFound:
            return roll_call.id in listed, False
    return roll_call.id in listed, True


async def test_students_registrars_and_counselors_are_notified_once(scenario: RollCallScenario) -> None:
    part_time, *others = scenario.school.students
    async with scenario.owner_transaction() as session:
        (await session.get_one(Student, part_time.id)).study_form = "part_time"
    registrar = await scenario.account("registrar", scenario.school)
    counselor = await scenario.account("counselor", scenario.school, scenario.school.classes[1])
    await scenario.account("registrar", scenario.world.sister)
    launched = await scenario.launch(announced=False)
    (event,) = await scenario.load_events("RollCallLaunched", launched.roll_call.id)
    await asyncio.gather(
        deliver(scenario.app_context, str(event.id)),
        deliver(scenario.app_context, str(event.id)),
        run_due_steps(scenario.app_context),
        scenario.announce(launched.roll_call),
    )
    students = await count_notices(scenario, "roll_call_launched", launched.roll_call)
    assert students == {pupil.id: 1 for pupil in others}
    staff = await count_notices(scenario, "roll_call_launched_staff", launched.roll_call)
    assert staff == {registrar.account_id: 1, counselor.account_id: 1}


async def test_scheduled_roll_call_is_secret_until_its_notice(scenario: RollCallScenario) -> None:
    notice = scenario.clock() + timedelta(hours=1)
    launched = await scenario.launch(
        announced=False, notify_at=notice, opens_at=notice, closes_at=notice + timedelta(hours=1)
    )
    (event,) = await scenario.load_events("RollCallLaunched", launched.roll_call.id)
    student = student_account(scenario.school, scenario.school.students[0])
    scenario.clock.at = notice - MICROSECOND
    await deliver(scenario.app_context, str(event.id))
    await run_due_steps(scenario.app_context)
    assert await count_notices(scenario, "roll_call_launched", launched.roll_call) == {}
    for actor in (student, scenario.registrar):
        assert await visibility(scenario, actor, launched.roll_call) == (False, False)
    assert await visibility(scenario, scenario.bureau, launched.roll_call) == (True, True)
    scenario.clock.at = notice
    await run_due_steps(scenario.app_context)
    await run_due_steps(scenario.app_context)
    assert len(await count_notices(scenario, "roll_call_launched", launched.roll_call)) == 6
    for actor in (student, scenario.registrar):
        assert await visibility(scenario, actor, launched.roll_call) == (True, True)


@pytest.mark.clause("HN334-2.3")
async def test_school_outside_the_audience_sees_nothing(scenario: RollCallScenario) -> None:
    launched = await scenario.launch()
    sister = scenario.world.sister
    for actor in (registrar_account(sister), student_account(sister, sister.students[0])):
        assert await visibility(scenario, actor, launched.roll_call) == (False, False)


@pytest.mark.clause("R8")
async def test_outage_beyond_the_maximum_extension_leaves_no_miss(scenario: RollCallScenario) -> None:
    launched = await scenario.launch(announced=False)
    await scenario.record_heartbeats(launched.roll_call, but=range(250))
    scenario.clock.at = launched.roll_call.closes_at + timedelta(hours=4)
    await run_due_steps(scenario.app_context)
    outcomes = await scenario.outcomes(launched.roll_call.id)
    assert {entry.outcome for entry in outcomes.values()} == {"undetermined"}


@pytest.mark.clause("R8")
async def test_outage_of_the_whole_window_is_announced_and_extended(
    scenario: RollCallScenario,
) -> None:
    launched = await scenario.launch(announced=False)
    await scenario.record_heartbeats(launched.roll_call, but=range(90))
    scenario.clock.at = launched.roll_call.closes_at + timedelta(minutes=30)
    for _ in range(2):
        await run_due_steps(scenario.app_context)
    assert await scenario.outcomes(launched.roll_call.id) == {}
    student = student_account(scenario.school, scenario.school.students[0])
    assert await visibility(scenario, student, launched.roll_call) == (True, True)
