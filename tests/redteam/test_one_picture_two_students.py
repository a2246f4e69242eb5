"""A school enrols a ghost with the pictures of a real student, re-encoded."""

import pytest

from backend.identity.face.pool import face_pool
from tests.identity.test_activation import PoolInProcess, consent, judge_newest, shots
from tests.redteam.faces import reencode, verdict_of
from tests.support.identity.scenario import IdentityScenario

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "refused: picture_of_other_student"


@pytest.mark.parametrize("reencoded", [False, True], ids=["the same files", "re-encoded"])
async def test_attack(identity: IdentityScenario, *, reencoded: bool) -> None:
    identity.app_context.services[face_pool] = PoolInProcess()
    real, ghost = identity.school.students[:2]
    for student in (real, ghost):
        phone = await identity.bind_phone(student)
        await consent(phone)
        sent = [reencode(each) for each in shots(7)] if reencoded and student is ghost else shots(7)
        assert (await phone.enrol_face(sent)).status_code == 202
        verdict = verdict_of(await judge_newest(identity, student))
    assert await identity.deliver_events("SharedPictureFound") == 1
    assert verdict == EXPECTED
