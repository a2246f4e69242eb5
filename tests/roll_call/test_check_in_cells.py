"""Cells of accepted check-ins: what is counted, what is shown, and that they go with the term."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from backend.campus.tables import SiteVersion
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.org.tables import Term
from backend.people.tables import Consent
from backend.retention.check_in_cells import CHECK_IN_CELLS
from backend.retention.deletion import delete_expired
from backend.roll_call.cells.counting import CountedCheckIn, count_check_ins
from backend.roll_call.cells.queries import MARGIN_CELLS, SiteCells, load_site_cells
from backend.roll_call.policy import roll_call_policy
from backend.roll_call.tables import CheckInCell, RollCall
from geo.cells import Cell, cell_at
from tests.support.province import bureau_account, counselor_account
from tests.support.roll_call.scenario import MICROSECOND, RollCallScenario
from tests.support.roll_call.student_phone import StudentWithPhone

pytestmark = pytest.mark.clause("HN334-3.4")

MINIMUM = 10


async def count_rows(scenario: RollCallScenario) -> int:
    async with scenario.owner_transaction() as session:
        total = select(func.coalesce(func.sum(CheckInCell.students), 0)).where(
            CheckInCell.school_id == scenario.school.id
        )
        return int(await session.scalar(total) or 0)


async def file_site(scenario: RollCallScenario) -> UUID:
    version_id = await scenario.file_site()
    async with scenario.owner_transaction() as session:
        version: SiteVersion = await session.get_one(SiteVersion, version_id)
        return version.site_id


async def answer_with(scenario: RollCallScenario, student: StudentWithPhone, version: str) -> None:
    async with scenario.owner_transaction() as session:
        await session.execute(
            update(Consent)
            .where(Consent.student_id == student.student_id, Consent.kind == "location")
            .values(text_version=version)
        )


async def fill_cell(scenario: RollCallScenario, roll_call: RollCall, cell: Cell, students: int) -> None:
    """Store a count as if that many students had been accepted there."""
    async with scenario.owner_transaction() as session:
        await session.execute(delete(CheckInCell).where(CheckInCell.roll_call_id == roll_call.id))
        session.add(
            CheckInCell(
                roll_call_id=roll_call.id,
                school_id=scenario.school.id,
                term_code=roll_call.term_code,
                cell_row=cell.row,
                cell_column=cell.column,
                students=students,
            )
        )


async def load(scenario: RollCallScenario, site_id: object, actor: object = None) -> SiteCells:
    reader = actor or scenario.registrar
    async with scenario.app_context.database.transaction(reader.scope) as session:  # type: ignore[attr-defined]
        return await load_site_cells(session, reader, site_id, None, scenario.clock())  # type: ignore[arg-type]


async def middle_of_site(scenario: RollCallScenario, site_id: object) -> Cell:
    middle = func.ST_Centroid(SiteVersion.polygons)
    async with scenario.owner_transaction() as session:
        row = await session.execute(
            select(func.ST_X(middle), func.ST_Y(middle)).where(SiteVersion.site_id == site_id)
        )
        lon, lat = row.one()
    return cell_at(lon, lat)


async def test_accepted_check_in_is_counted_once_and_only_with_the_new_consent(
    scenario: RollCallScenario,
) -> None:
    roll_call = (await scenario.launch()).roll_call
    old, new = [await scenario.activate(each) for each in scenario.school.students[:2]]
    await answer_with(scenario, old, "location-1")
    await answer_with(scenario, new, "location-2")
    await scenario.pass_roll_call(old, roll_call.id)
    assert await count_rows(scenario) == 0
    await scenario.pass_roll_call(new, roll_call.id)
    assert await count_rows(scenario) == 1


async def test_counts_of_a_cell_add_up(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    student = await scenario.activate(scenario.school.students[0])
    await answer_with(scenario, student, "location-2")
    counted = CountedCheckIn(
        roll_call.id, scenario.school.id, roll_call.term_code, student.student_id, Cell(277_000, 600_000)
    )
    for _ in range(2):
        async with scenario.app_context.database.transaction(scenario.registrar.scope) as session:
            await count_check_ins(session, [counted], roll_call_policy(roll_call))
    assert await count_rows(scenario) == 2


@pytest.mark.parametrize(("students", "shown"), [(MINIMUM - 1, 0), (MINIMUM, 1)])
async def test_cell_is_shown_from_ten_students_after_the_settlement(
    scenario: RollCallScenario, students: int, shown: int
) -> None:
    site_id = await file_site(scenario)
    roll_call = (await scenario.launch()).roll_call
    cell = await middle_of_site(scenario, site_id)
    await fill_cell(scenario, roll_call, cell, students)
    assert (await load(scenario, site_id)).cells == []  # it is still open
    scenario.clock.at = roll_call.closes_at + MICROSECOND
    await scenario.settle(roll_call)
    found = await load(scenario, site_id)
    assert (len(found.cells), found.minimum, found.term_code) == (shown, MINIMUM, roll_call.term_code)
    if shown:
        assert found.cells[0].check_ins == students
        assert (await load(scenario, site_id, scenario.bureau)).cells == found.cells


async def test_cells_far_from_the_site_and_of_others_are_not_shown(scenario: RollCallScenario) -> None:
    site_id = await file_site(scenario)
    roll_call = (await scenario.launch()).roll_call
    cell = await middle_of_site(scenario, site_id)
    await fill_cell(scenario, roll_call, Cell(cell.row, cell.column + 100 * MARGIN_CELLS), MINIMUM)
    scenario.clock.at = roll_call.closes_at + MICROSECOND
    await scenario.settle(roll_call)
    assert (await load(scenario, site_id)).cells == []
    with pytest.raises(NotPermitted):
        await load(scenario, site_id, counselor_account(scenario.school, scenario.school.classes[0]))
    with pytest.raises(NotFound):
        await load(scenario, site_id, bureau_account(scenario.world.other_city))


async def test_cells_are_deleted_with_their_term(scenario: RollCallScenario) -> None:
    roll_call = (await scenario.launch()).roll_call
    await fill_cell(scenario, roll_call, Cell(277_000, 600_000), MINIMUM)
    await delete_expired(scenario.app_context, [CHECK_IN_CELLS])
    assert await count_rows(scenario) == MINIMUM
    async with scenario.owner_transaction() as session:
        ends: date | None = await session.scalar(
            select(func.max(Term.ends_on)).where(Term.code == roll_call.term_code)
        )
    assert ends is not None
    scenario.clock.at += timedelta(days=(ends - legal_day(scenario.clock())).days + 1)
    await delete_expired(scenario.app_context, [CHECK_IN_CELLS])
    assert await count_rows(scenario) == 0
