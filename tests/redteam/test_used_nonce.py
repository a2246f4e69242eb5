"""A script swaps the envelope after the receipt by sending another one with the used nonce."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.roll_call.check_in.evaluate import Acknowledgement
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.roll_call.student_phone import envelope, make_fixes, render_burst

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "refused: nonce_used"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


async def test_attack(scenario: RollCallScenario) -> None:
    student = await scenario.activate(scenario.school.students[0])
    roll_call_id = (await scenario.launch()).roll_call.id
    nonce, frames = await scenario.nonce(student, roll_call_id), render_burst(student.person)
    assert isinstance(
        await scenario.send(student, roll_call_id, envelope(student, roll_call_id, nonce, frames)),
        Acknowledgement,
    )
    swapped = envelope(student, roll_call_id, nonce, frames, fixes=make_fixes(accuracy_m=30.0))
    answer = await scenario.send(student, roll_call_id, swapped)
    verdict = "accepted" if isinstance(answer, Acknowledgement) else f"refused: {answer.error.code}"
    assert verdict == EXPECTED
    assert await scenario.count_submissions(student) == 1
