"""A school imports students of another school with its own phone numbers, to have ghosts that check in and get aid."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.identity.devices.registration_verification import verify_registration
from backend.notice.tables import NoticeDelivery
from backend.people.tables import Student
from tests.support.identity.scenario import IdentityScenario, identity_scenario
from tests.support.province import PROVINCE_PATH
from tests.support.roster import import_rows, roster_row

pytestmark = pytest.mark.clause("MOE19-2.4", "R23")
EXPECTED = "quarantined"

GHOSTS_NUMBER = "13912345678"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    async with identity_scenario(app_context, owner) as scenario:
        yield scenario


async def test_attack(scenario: IdentityScenario) -> None:
    victim = scenario.world.sister.students[0]
    row = roster_row(victim, student_number=None, phone=GHOSTS_NUMBER)
    report = await import_rows(scenario.app_context, scenario.school, [row])
    await scenario.set_phone_number(victim, "13800000000")
    registration_id = await scenario.phone().register(victim.name, victim.id_number)
    await verify_registration(scenario.app_context, UUID(registration_id))
    index = scenario.app_context.keys.blind_index(victim.id_number)
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        students = await session.scalars(select(Student.id).where(Student.id_number_index == index))
        assert students.all() == [victim.id]
        sent_to = await session.scalars(
            select(NoticeDelivery.phone).where(NoticeDelivery.phone == GHOSTS_NUMBER)
        )
        assert sent_to.all() == []
    verdict = "quarantined" if (report.quarantined, report.created) == (1, 0) else "enrolled twice"
    assert verdict == EXPECTED
