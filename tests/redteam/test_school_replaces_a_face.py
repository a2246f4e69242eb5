"""A school puts a stand-in's face on a ghost: its registrar and its counselor both approve."""

import pytest

from backend.identity.face.pool import face_pool
from backend.staff_api.organisation.pictures import router
from tests.identity.test_activation import PoolInProcess, enrol, judge_newest, shots
from tests.support.identity.scenario import IdentityScenario
from tests.support.province import counselor_account, registrar_account
from tests.support.staff_client import staff_client

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "refused: face_replacement_closed"


async def test_attack(identity: IdentityScenario) -> None:
    identity.app_context.services[face_pool] = PoolInProcess()
    api, ghost = staff_client(identity.app_context, router), identity.school.students[0]
    phone = await enrol(identity, ghost)
    files = [("shots", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(shots(8))]
    assert (await phone.post("/v1/me/face-replacement", files=files)).status_code == 202
    enrolment = await judge_newest(identity, ghost)
    body = {"approved": True, "seen_in_person": True, "reasons": "一致"}
    path = f"/v1/face-replacements/{enrolment.id}/answers"
    counselor = counselor_account(identity.school, identity.school.classes[0])
    assert (await api.post(counselor, path, body)).status_code == 201
    second = await api.post(registrar_account(identity.school), path, body)
    await api.http.aclose()
    assert f"refused: {second.json()['code']}" == EXPECTED
