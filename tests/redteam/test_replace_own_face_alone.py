"""A student withdraws consent, gives it again, and enrols a friend's face."""

import pytest

from backend.identity.face.pool import face_pool
from tests.identity.test_activation import PoolInProcess, consent, enrol, judge_newest, shots
from tests.support.identity.scenario import IdentityScenario

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "held for two persons"


async def test_attack(identity: IdentityScenario) -> None:
    identity.app_context.services[face_pool] = PoolInProcess()
    student = identity.school.students[0]
    phone = await enrol(identity, student)
    await phone.consent("face_use", "face-use-1", granted=False)
    await consent(phone, "face_use")
    assert (await phone.enrol_face(shots(8))).status_code == 202
    status = (await judge_newest(identity, student)).status
    usable = (await phone.post("/v1/me/face-route")).status_code == 204
    assert ("held for two persons" if status == "review" and not usable else status) == EXPECTED
