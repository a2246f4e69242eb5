"""Rosters register new students by the law of the day; lists, permissions and transfers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import LEGAL_ZONE, legal_day, now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.exchange.roster.importer import ImportReport
from backend.exchange.roster.rows import RosterRow
from backend.people.categories import Programme, StudyForm
from backend.people.tables import Student
from backend.registration.queries import load_registration_calendar
from backend.registration.tables import StudentRegistration
from backend.staff_api.registration.registrations import router
from tests.support.province import (
    PROVINCE_PATH,
    SampleProvince,
    SampleSchool,
    SampleStudent,
    bureau_account,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
    synthetic_id_number,
)
from tests.support.roster import import_rows, roster_row
from tests.support.staff_client import StaffClient, staff_client

LOADED_AT = datetime(2025, 9, 1, tzinfo=LEGAL_ZONE)
"""When the sample school loaded its first roster: its first load is over."""

_serials = count(7_000_000)


def at_noon(month: int, day: int) -> datetime:
    """Noon of a day in the season that the tests are about."""
    return datetime(2026, month, day, 12, tzinfo=LEGAL_ZONE)


def new_row(**changes: Any) -> RosterRow:
    """A row of a person whom no roll knows."""
    number = synthetic_id_number(next(_serials))
    person = SampleStudent(new_id(), new_id(), new_id(), "新生", number, f"G{number}")
    values = {"row": int(number[14:17]) + 2, "entry_month": "2026-09"}
    return roster_row(person, **values | changes)


@dataclass(slots=True)
class Scenario:
    """A school that has used the product for more than a year."""

    app_context: AppContext
    owner: Database
    world: SampleProvince
    api: StaffClient

    async def import_new(self, *rows: RosterRow, at: datetime) -> ImportReport:
        return await import_rows(self.app_context, self.world.school, rows, at)

    async def registrations(self, school: SampleSchool) -> list[StudentRegistration]:
        async with self.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            query = select(StudentRegistration).where(StudentRegistration.school_id == school.id)
            return list(await session.scalars(query))

    async def list(self, actor: Actor, **params: Any) -> list[dict[str, Any]]:
        return await self.api.every(actor, "/v1/registrations", **params)


@pytest.fixture
async def scenario(app_context: AppContext, owner: Database) -> AsyncIterator[Scenario]:
    world = await create_sample_province(owner, app_context.keys, classes=1, students=1)
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        earlier = update(Student).where(Student.school_id == world.school.id)
        await session.execute(earlier.values(created_at=LOADED_AT))
    api = staff_client(app_context, router)
    yield Scenario(app_context, owner, world, api)
    await api.http.aclose()


@pytest.mark.clause("MOE19-2.3a")
async def test_the_last_day_registers_and_the_next_refuses_without_losing_the_other_rows(
    scenario: Scenario,
) -> None:
    in_time = await scenario.import_new(new_row(), at=at_noon(11, 20))
    assert (in_time.created, in_time.not_registered) == (1, 0)
    known = roster_row(scenario.world.school.classes[0].students[0], phone="13800001234")
    late = await scenario.import_new(new_row(row=9), known, at=at_noon(11, 21))
    assert (late.created, late.not_registered, late.updated, late.rows) == (0, 1, 1, 2)
    (finding,) = [each for each in late.findings if each.code == "registration_closed"]
    assert (finding.row, finding.column, finding.value) == (9, "入学年月", "202609")
    (stored,) = await scenario.registrations(scenario.world.school)
    assert (stored.season, stored.basis, stored.cut_off_on) == ("2026-autumn", "new", date(2026, 11, 20))
    assert (stored.instrument, stored.article) == ("MOE19", "二、（三）")


@pytest.mark.clause("MOE19-2.3a")
async def test_the_twentieth_working_day_is_in_time_and_the_twenty_first_is_late(scenario: Scenario) -> None:
    await scenario.import_new(new_row(name="甲"), at=at_noon(9, 29))
    await scenario.import_new(new_row(name="乙"), at=at_noon(9, 30))
    registrar = registrar_account(scenario.world.school)
    rows = {row["student_name"]: row for row in await scenario.list(registrar, season="2026-autumn")}
    assert {name: (row["is_late"], row["record_due_on"]) for name, row in rows.items()} == {
        "甲": (False, "2026-09-29"),
        "乙": (True, "2026-09-29"),
    }
    (late,) = await scenario.list(registrar, late="true")
    assert late["student_name"] == "乙"
    city = bureau_account(scenario.world.city)
    schools = await scenario.api.every(city, "/v1/school-registrations", season="2026-autumn")
    counts = {row["school_id"]: (row["new"], row["late"]) for row in schools}
    assert counts[str(scenario.world.school.id)] == (2, 1)
    assert counts[str(scenario.world.sister.id)] == (0, 0)


@pytest.mark.clause("HRSS28-2.1")
async def test_a_technician_school_is_refused_a_month_earlier(scenario: Scenario) -> None:
    row = new_row(programme=Programme.TECHNICIAN)
    in_time = await scenario.import_new(row, at=at_noon(10, 20))
    late = await scenario.import_new(
        replace(new_row(programme=Programme.TECHNICIAN), row=5), at=at_noon(10, 21)
    )
    assert (in_time.created, late.created, late.not_registered) == (1, 0, 1)
    (stored,) = await scenario.registrations(scenario.world.school)
    assert (stored.instrument, row.programme) == ("HRSS28", "technician")


@pytest.mark.clause("HRSS28-2.2")
async def test_employees_are_registered_part_time_only(scenario: Scenario) -> None:
    employee = {"programme": Programme.TECHNICIAN, "extras": {"招生对象": "企业在职职工"}}
    report = await scenario.import_new(
        new_row(row=3, **employee),
        new_row(row=4, study_form=StudyForm.PART_TIME, **employee),
        new_row(row=5, programme=Programme.TECHNICIAN, extras={"招生对象": "务农农民"}),
        new_row(row=6, programme=Programme.TECHNICIAN, extras={"招生对象": "应届初中毕业生"}),
        at=at_noon(9, 10),
    )
    assert (report.created, report.not_registered) == (2, 2)
    refused = [each for each in report.findings if each.code == "category_not_registrable"]
    assert [(each.row, each.column) for each in refused] == [(3, "招生对象"), (5, "招生对象")]


@pytest.mark.clause("MOE19-2.3a")
async def test_a_permission_of_the_superior_opens_closed_seasons(scenario: Scenario) -> None:
    world, row = scenario.world, new_row(entry_month="2024-09")
    assert (await scenario.import_new(row, at=now())).not_registered == 1
    path = f"/v1/schools/{world.school.id}/carry-over-permissions"
    city, until = bureau_account(world.city), (legal_day(now()) + timedelta(days=3)).isoformat()
    body = {"until": until, "reasons": "学校漏导2024级机电班，已核对"}
    answer = await scenario.api.post(city, path, body)
    assert answer.status_code == 201, answer.text
    assert (await scenario.import_new(row, at=now())).created == 1
    (stored,) = await scenario.registrations(world.school)
    assert (stored.basis, stored.record_due_on) == ("carried_over", None)
    registrar = registrar_account(world.school)
    (listed,) = await scenario.api.every(registrar, "/v1/carry-over-permissions")
    assert (listed["until"], listed["reasons"]) == (until, body["reasons"])

    for actor, status in ((registrar, 403), (bureau_account(world.other_city), 404)):
        assert (await scenario.api.post(actor, path, body)).status_code == status
    for days in (-1, 31):
        day = (legal_day(now()) + timedelta(days=days)).isoformat()
        refused = await scenario.api.post(city, path, body | {"until": day})
        assert (refused.status_code, refused.json()["code"]) == (422, "carry_over_permission_too_long")


@pytest.mark.clause("MOE19-2.4", "R23")
async def test_a_student_of_another_roll_is_quarantined_also_after_the_cut_off(scenario: Scenario) -> None:
    row = roster_row(scenario.world.sister.classes[0].students[0], student_number=None)
    report = await scenario.import_new(row, at=at_noon(12, 1))
    assert (report.quarantined, report.not_registered) == (1, 0)


@pytest.mark.clause("MOE19-2.3a", "HRSS28-2.1")
async def test_cut_offs_name_their_instruments(scenario: Scenario) -> None:
    registrar = registrar_account(scenario.world.school)
    async with scenario.app_context.database.transaction(registrar.scope) as session:
        calendar = await load_registration_calendar(session, registrar, None, at_noon(11, 1))
    found = {
        (each.season.code, each.programme): (
            each.cut_off.day.isoformat(),
            each.is_open,
            each.cut_off.citation.reference.instrument,
        )
        for each in calendar.cut_offs
    }
    assert found == {
        ("2026-spring", None): ("2026-04-20", False, "MOE19"),
        ("2026-spring", "technician"): ("2026-04-20", False, "MOE19"),
        ("2026-autumn", None): ("2026-11-20", True, "MOE19"),
        ("2026-autumn", "technician"): ("2026-10-20", False, "HRSS28"),
    }
    answer = await scenario.api.get(registrar, "/v1/registration-calendar")
    assert (answer.status_code, answer.json()["record_working_days"]) == (200, 20)


async def test_search_by_name_and_unit(scenario: Scenario) -> None:
    await scenario.import_new(new_row(name="欧阳文静"), new_row(name="李雷", row=3), at=at_noon(9, 10))
    province = province_account(scenario.world.province)
    (found,) = await scenario.list(province, q="文静", unit_id=str(scenario.world.city.id))
    assert (found["school_id"], found["basis"]) == (str(scenario.world.school.id), "new")
    assert found["school_name"]
    assert await scenario.list(province, unit_id=str(scenario.world.other_city.id)) == []
    counselor = counselor_account(scenario.world.school, scenario.world.school.classes[0])
    assert (await scenario.api.get(counselor, "/v1/registrations")).status_code == 403
