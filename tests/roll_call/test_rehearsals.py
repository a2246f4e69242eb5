"""A rehearsal is practice: what stays undetermined has no consequence, so no person looks and none is asked to."""

from datetime import timedelta

import pytest

from backend.roll_call.reason_texts import what_to_do
from backend.roll_call.student_queries import StudentRollCall, load_student_roll_call
from backend.roll_call.tables import RollCall
from tests.support.roll_call.looks import activate_with_looks, load_requests, make_faces_unproven
from tests.support.roll_call.scenario import WINDOW, RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone, render_burst

pytestmark = pytest.mark.clause("HN334-3.3")


@pytest.fixture
async def rehearsal(scenario: RollCallScenario) -> RollCall:
    return (await scenario.launch(scenario.registrar, kind="rehearsal")).roll_call


async def view_of(
    scenario: RollCallScenario, student: StudentWithPhone, roll_call: RollCall
) -> StudentRollCall:
    async with scenario.app_context.database.transaction(student.actor.scope) as session:
        return await load_student_roll_call(session, student.actor, roll_call.id, scenario.clock())


async def settle_after_close(scenario: RollCallScenario, roll_call: RollCall) -> None:
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(roll_call)


async def test_unproven_face_in_a_rehearsal_asks_for_no_look(
    scenario: RollCallScenario, rehearsal: RollCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_faces_unproven(monkeypatch)
    (student,) = await activate_with_looks(scenario, 1)
    verdict = await scenario.pass_roll_call(student, rehearsal.id)
    assert (verdict.finding, verdict.reasons) == ("undetermined", ["rehearsal_face_unproven"])
    assert (await view_of(scenario, student, rehearsal)).is_undetermined_rehearsal
    await settle_after_close(scenario, rehearsal)
    assert await scenario.outcome(rehearsal.id, student) == ("undetermined", "rehearsal_face_unproven")
    assert (await view_of(scenario, student, rehearsal)).is_undetermined_rehearsal
    assert await load_requests(scenario, rehearsal.id) == []
    assert await scenario.load_events("LooksRequested", rehearsal.id) == []


async def test_missing_consent_to_looks_sends_no_student_to_the_counselor(
    scenario: RollCallScenario, rehearsal: RollCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_faces_unproven(monkeypatch)
    student = await scenario.activate(scenario.school.students[0])
    await scenario.pass_roll_call(student, rehearsal.id)
    assert await scenario.load_refusals(student) == []


async def test_doubt_left_by_the_settlement_asks_for_no_look(
    scenario: RollCallScenario, rehearsal: RollCall
) -> None:
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.verify(await scenario.check_in(student, rehearsal.id, render_burst(student.person)))
    assert not (
        await view_of(scenario, student, rehearsal)
    ).is_undetermined_rehearsal  # another attempt may pass
    await settle_after_close(scenario, rehearsal)
    assert await scenario.outcome(rehearsal.id, student) == ("undetermined", "challenge_unanswered")
    assert await load_requests(scenario, rehearsal.id) == []
    view = await view_of(scenario, student, rehearsal)
    assert view.is_undetermined_rehearsal
    advice = what_to_do("closed", "owed", "undetermined", rehearsed=view.is_undetermined_rehearsal)
    assert (advice.code, advice.zh) == ("rehearsed", "演练：未判定，不影响您，无须操作。")


async def test_later_attempt_that_passes_makes_present(
    scenario: RollCallScenario, rehearsal: RollCall
) -> None:
    with pytest.MonkeyPatch.context() as unproven:
        make_faces_unproven(unproven)
        (student,) = await activate_with_looks(scenario, 1)
        await scenario.pass_roll_call(student, rehearsal.id)
    await scenario.verify(await scenario.check_in(student, rehearsal.id, first=50))
    assert await scenario.outcome(rehearsal.id, student) == ("present", "verified")
    assert not (await view_of(scenario, student, rehearsal)).is_undetermined_rehearsal


async def test_spot_check_still_says_that_a_person_decides(scenario: RollCallScenario) -> None:
    spot_check = (await scenario.launch()).roll_call
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.verify(await scenario.check_in(student, spot_check.id, render_burst(student.person)))
    await settle_after_close(scenario, spot_check)
    assert not (await view_of(scenario, student, spot_check)).is_undetermined_rehearsal
