"""Reviewers leave a sampled attestation unreviewed, so that a false one stays unnoticed."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.tenancy import Scope
from backend.roll_call.attestation import service
from backend.roll_call.attestation.card_codes import issue_student_code
from backend.roll_call.attestation.position import AttesterPosition
from backend.roll_call.attestation.tasks import escalate_overdue_samples
from backend.roll_call.tables import AttestationEscalation, RollCallSite
from geo.location_fixes import Fix
from tests.support.province import PROVINCE_PATH, counselor_account
from tests.support.roll_call.scenario import RollCallScenario, create_scenario
from tests.support.roll_call.student_phone import INSIDE

pytestmark = pytest.mark.clause("HN334-3.4")
EXPECTED = "reported"


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> RollCallScenario:
    return await create_scenario(app_context, owner)


async def test_attack(scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "is_sampled", lambda *_: True)
    roll_call = (await scenario.launch()).roll_call
    klass, database, keys = (
        scenario.school.classes[0],
        scenario.app_context.database,
        scenario.app_context.keys,
    )
    student, counselor, at = klass.students[0], counselor_account(scenario.school, klass), scenario.clock()
    async with database.transaction(scenario.registrar.scope) as session:
        code = await issue_student_code(session, scenario.registrar, student.id, at, keys)
        site = (
            await session.scalars(
                select(RollCallSite.site_version_id).where(RollCallSite.roll_call_id == roll_call.id)
            )
        ).one()
    position = AttesterPosition(Fix(*INSIDE, 12.0, age_s=1.0), counselor.account_id)
    command = service.AttestPresence(roll_call.id, student.id, code, site, "手机损坏", position)
    async with database.transaction(counselor.scope) as session:
        await service.attest_presence(session, counselor, command, at, keys)
    scenario.clock.at += timedelta(days=20)
    await escalate_overdue_samples(scenario.app_context)
    async with database.transaction(Scope.wide(PROVINCE_PATH)) as session:
        reported = await session.get(AttestationEscalation, (roll_call.id, student.id))
    verdict = "ignored" if reported is None else "reported"
    assert verdict == EXPECTED
    assert (await scenario.outcomes(roll_call.id))[student.id].outcome == "present"
