"""The record of views of pictures is kept for three years, and longer while the student has an open case."""

from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.face.picture_refs import PortraitRef
from backend.identity.pictures.opening import record_picture_view
from backend.identity.pictures.purposes import PicturePurpose
from backend.identity.pictures.tables import PictureView
from backend.identity.tables import Portrait
from tests.support.retention import DAY, add_rows, make_appeal, run_retention
from tests.support.roll_call.scenario import RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone

pytestmark = pytest.mark.clause("HN334-2.3")
THREE_YEARS = 1096 * DAY


async def view_portrait(scenario: RollCallScenario, student: StudentWithPhone) -> UUID:
    """The registrar looks at the portrait; returns the id of the entry."""
    async with scenario.app_context.database.transaction(scenario.registrar.scope) as session:
        portrait = (
            await session.scalars(select(Portrait).where(Portrait.student_id == student.student_id))
        ).one()
        await record_picture_view(
            session,
            scenario.registrar,
            PortraitRef.of(portrait).picture,
            PicturePurpose.PORTRAIT_REVIEW,
            scenario.clock(),
        )
    async with scenario.owner_transaction() as session:
        newest = select(PictureView.id).where(PictureView.student_id == student.student_id)
        view_id: UUID = (await session.scalars(newest.order_by(PictureView.id.desc()).limit(1))).one()
    return view_id


async def exists(scenario: RollCallScenario, view_id: UUID) -> bool:
    async with scenario.owner_transaction() as session:
        return await session.get(PictureView, view_id) is not None


async def test_views_are_kept_for_three_years(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    view_id = await view_portrait(scenario, student)
    await run_retention(scenario, THREE_YEARS - DAY)
    assert await exists(scenario, view_id)
    later = await view_portrait(scenario, student)
    assert (await run_retention(scenario, DAY))["picture_views"].items >= 1
    assert not await exists(scenario, view_id)
    assert await exists(scenario, later)
    async with scenario.owner_transaction() as session:
        entries = await session.scalar(
            select(func.count()).where(
                AuditEntry.action == "PictureViewed", AuditEntry.subject_id == str(student.student_id)
            )
        )
    assert entries == 2


async def test_open_case_keeps_the_views(scenario: RollCallScenario, student: StudentWithPhone) -> None:
    view_id = await view_portrait(scenario, student)
    await add_rows(scenario, make_appeal(student, scenario.clock()))
    await run_retention(scenario, 2 * THREE_YEARS)
    assert await exists(scenario, view_id)


async def test_application_cannot_delete_views_itself(
    scenario: RollCallScenario, student: StudentWithPhone
) -> None:
    view_id = await view_portrait(scenario, student)
    for statement in ("DELETE FROM picture_view", "UPDATE picture_view SET role = 'province'"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with scenario.app_context.database.transaction(scenario.registrar.scope) as session:
                await session.execute(text(statement))
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        younger = text("SELECT * FROM definer.delete_picture_views(CAST(:ids AS uuid[]), :before)")
        before: datetime = scenario.clock() - DAY
        assert list(await session.scalars(younger, {"ids": [view_id], "before": before})) == []
    assert await exists(scenario, view_id)
