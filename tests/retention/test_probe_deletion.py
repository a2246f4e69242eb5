"""Probes of rehearsals that no counselor confirms are deleted; confirmed ones stay."""

from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.clock import legal_day
from backend.core.ids import new_id
from backend.identity.face.calibration.tables import FaceCalibrationProbe, RehearsalConfirmation
from backend.retention.faces import delete_unconfirmed_probes
from tests.support.retention import DAY, add_rows, run_retention, student_columns
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone

pytestmark = pytest.mark.clause("HN334-3.3")


async def add_probe(
    scenario: RollCallScenario, student: StudentWithPhone, confirmation_id: UUID | None = None
) -> UUID:
    probe = FaceCalibrationProbe(
        id=new_id(),
        **student_columns(student),
        class_id=scenario.school.classes[0].id,
        roll_call_id=new_id(),
        submission_id=new_id(),
        confirmation_id=confirmation_id,
        engine_id="test-pattern",
        engine_version="1",
        sealed=b"-",
        day=legal_day(scenario.clock()),
        at=scenario.clock(),
    )
    await add_rows(scenario, probe)
    return probe.id


async def add_confirmation(scenario: RollCallScenario) -> UUID:
    confirmation = RehearsalConfirmation(
        id=new_id(),
        school_id=scenario.school.id,
        roll_call_id=new_id(),
        class_id=scenario.school.classes[0].id,
        account_id=new_id(),
        confirmed=1,
        excluded=0,
        at=scenario.clock(),
    )
    await add_rows(scenario, confirmation)
    return confirmation.id


async def load_probes(scenario: RollCallScenario, student: StudentWithPhone) -> set[UUID]:
    async with scenario.owner_transaction() as session:
        rows = await session.scalars(
            select(FaceCalibrationProbe.id).where(FaceCalibrationProbe.student_id == student.student_id)
        )
        return set(rows)


async def test_unconfirmed_probe_is_deleted_after_a_month(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    confirmed = await add_probe(scenario, student, await add_confirmation(scenario))
    waiting = await add_probe(scenario, student)
    await run_retention(scenario, 29 * DAY)
    assert await load_probes(scenario, student) == {confirmed, waiting}
    assert (await run_retention(scenario, DAY))["unconfirmed_probes"].items >= 1
    assert await load_probes(scenario, student) == {confirmed}


async def test_probe_that_is_confirmed_during_a_run_stays(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    confirmed = await add_probe(scenario, student, await add_confirmation(scenario))
    async with scenario.owner_transaction() as session:
        assert await delete_unconfirmed_probes(session, [confirmed], scenario.clock()) == []
    assert await load_probes(scenario, student) == {confirmed}
