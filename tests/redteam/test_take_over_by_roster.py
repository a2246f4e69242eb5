"""A registrar uploads a roster with a number of his own for a student, to bind his own phone to the account."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.identity.devices.registration_verification import verify_registration
from backend.notice.tables import NoticeDelivery
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code
from tests.support.identity.staff_user import create_staff_user
from tests.support.province import PROVINCE_PATH
from tests.support.roster import import_rows, roster_row

pytestmark = pytest.mark.clause("HN334-3.1")
EXPECTED = "refused: not_permitted"

ATTACKERS_NUMBER = "13912345678"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    student = scenario.school.students[0]
    await scenario.bind_phone(student)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    await registrar.post(f"/v1/students/{student.id}/device/revocation", {"reason": "手机丢失"})
    await import_rows(scenario.app_context, scenario.school, [roster_row(student, phone=ATTACKERS_NUMBER)])
    (change,) = (await registrar.get("/v1/phone-changes", state="open")).json()["items"]
    body = {"outcome": "approved", "reasons": "已核实"}
    answer = await registrar.post(f"/v1/phone-changes/{change['id']}/decision", body)
    registration_id = await scenario.phone().register(student.name, student.id_number)
    await verify_registration(scenario.app_context, UUID(registration_id))
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        sent_to = await session.scalars(
            select(NoticeDelivery.phone).where(
                NoticeDelivery.student_id == student.id, NoticeDelivery.channel == "sms"
            )
        )
        assert ATTACKERS_NUMBER not in set(sent_to)
    assert f"refused: {problem_code(answer.text)}" == EXPECTED
