"""An attester asks which attestations are sampled, to attest absent students where no one looks."""

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.staff_api.roll_calls.attestations import router
from tests.support.province import counselor_account
from tests.support.roll_call.attester import attester_position
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.staff_client import staff_client

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "refused: not_permitted"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


async def test_attack(scenario: RollCallScenario) -> None:
    api, roll_call_id = staff_client(scenario.app_context, router), (await scenario.launch()).roll_call.id
    klass = scenario.school.classes[0]
    counselor, student = counselor_account(scenario.school, klass), klass.students[0]
    code = (await api.post(scenario.registrar, f"/v1/students/{student.id}/card-code", {})).json()["code"]
    (site,) = (await api.get(scenario.registrar, f"/v1/roll-calls/{roll_call_id}/sites")).json()
    body = {
        "student_id": str(student.id),
        "code": code,
        "site_version_id": site["site_version_id"],
        "reason": "手机损坏",
        "position": attester_position(),
    }
    path = f"/v1/roll-calls/{roll_call_id}/attestations"
    written = await api.post(counselor, path, body)
    assert "sampled" not in written.text
    trace = (await scenario.outcomes(roll_call_id))[student.id].trace
    assert "sampled" not in trace
    answer = await api.get(counselor, "/v1/attestation-samples")
    school = await api.get(scenario.registrar, "/v1/attestation-samples")
    assert school.json()["items"] == []  # the checked school is not the reviewing side
    verdict = f"refused: {answer.json()['code']}" if answer.is_error else "accepted"
    await api.http.aclose()
    assert verdict == EXPECTED
