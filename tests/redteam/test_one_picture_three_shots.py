"""A student enrols with one photograph, sent three times."""

import pytest

from backend.identity.face.pool import face_pool
from biometrics.engines.test_pattern import render_pattern
from tests.identity.test_activation import PoolInProcess, consent, judge_newest
from tests.redteam.faces import copies, verdict_of
from tests.support.identity.scenario import IdentityScenario

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "refused: shot_repeated"


async def test_attack(identity: IdentityScenario) -> None:
    identity.app_context.services[face_pool] = PoolInProcess()
    student = identity.school.students[0]
    phone = await identity.bind_phone(student)
    await consent(phone)
    assert (await phone.enrol_face([render_pattern(7, 0)] * 3)).status_code == 422
    assert (await phone.enrol_face(copies(render_pattern(7, 0)))).status_code == 202
    assert verdict_of(await judge_newest(identity, student), 1) == EXPECTED
