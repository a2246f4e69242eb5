"""Someone requests codes for a student from many phones and enters wrong ones, so that the student cannot bind a phone."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.identity.devices.registration_verification import verify_registration
from tests.support.identity.scenario import IdentityScenario, identity_scenario

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "bound after 5 messages"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.set_phone_number(student, "13800000000")
    sent = set()
    for _ in range(8):
        phone = scenario.phone()
        registration_id = await phone.register(student.name, student.id_number)
        await verify_registration(scenario.app_context, UUID(registration_id))
        sent.add(await scenario.sent_code(student))
        for _ in range(5):
            await phone.confirm(registration_id, "000000")
    own = scenario.phone()
    registration_id = await own.register(student.name, student.id_number)
    await verify_registration(scenario.app_context, UUID(registration_id))
    answer = await own.confirm(registration_id, None, await scenario.binding_code(student))
    assert f"{'bound' if answer.is_success else 'not bound'} after {len(sent)} messages" == EXPECTED
