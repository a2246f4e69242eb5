"""An ID number on another active roll never creates a second active student (MOE19-2.4, reading 23)."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.exchange.roster.rows import Member, RosterRow
from backend.identity.tables import Account, DeviceKey
from backend.people.categories import ENDED_STANDINGS
from backend.people.tables import ENROLLED_CONDITION, Guardian, QuarantinedEnrolment, Student
from tests.support.province import (
    PROVINCE_PATH,
    SampleProvince,
    SampleStudent,
    create_sample_province,
    student_record,
)
from tests.support.roster import import_rows, roster_row

pytestmark = pytest.mark.clause("MOE19-2.4", "R23")


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    return await create_sample_province(owner, app_context.keys, classes=1, students=2)


async def load_quarantined(owner: Database, student: SampleStudent) -> list[QuarantinedEnrolment]:
    query = (
        select(QuarantinedEnrolment)
        .where(QuarantinedEnrolment.holder_student_id == student.id)
        .order_by(QuarantinedEnrolment.id)
    )
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        return list(await session.scalars(query))


async def count_students(owner: Database, app_context: AppContext, student: SampleStudent) -> int:
    index = app_context.keys.blind_index(student.id_number)
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        query = select(func.count()).select_from(Student).where(Student.id_number_index == index)
        return await session.scalar(query) or 0


def without_number(student: SampleStudent, **changes: Any) -> RosterRow:
    """The student's row without a student number, which another school does not know."""
    return roster_row(student, student_number=None, **changes)


async def test_quarantined_row_is_no_student_and_has_no_account_phone_or_guardian(
    app_context: AppContext, owner: Database, world: SampleProvince
) -> None:
    student = world.sister.students[0]
    member = Member(position=1, name="张某", relation="父亲", is_guardian=True, phone="13700000000")
    row = without_number(student, phone="13912345678", members=(member,))
    report = await import_rows(app_context, world.school, [row])
    assert (report.quarantined, report.created, report.updated) == (1, 0, 0)
    (quarantined,) = await load_quarantined(owner, student)
    assert (quarantined.state, quarantined.holder_school_id) == ("open", world.sister.id)
    assert quarantined.row_data["phone"] == "13912345678"
    assert await count_students(owner, app_context, student) == 1
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        for table in (Account, DeviceKey, Guardian):
            assert await session.scalar(select(table.id).where(table.student_id == quarantined.id)) is None


async def test_the_same_file_again_quarantines_nothing_more(
    app_context: AppContext, owner: Database, world: SampleProvince
) -> None:
    student = world.sister.students[0]
    for _ in range(2):
        report = await import_rows(app_context, world.school, [without_number(student)])
        assert (report.quarantined, [each.code for each in report.findings]) == (1, ["on_another_roll"])
    assert len(await load_quarantined(owner, student)) == 1


@pytest.mark.parametrize("standing", ENDED_STANDINGS)
async def test_person_whose_earlier_record_ended_is_enrolled(
    app_context: AppContext, owner: Database, world: SampleProvince, standing: str
) -> None:
    student = world.sister.students[0]
    await import_rows(app_context, world.school, [without_number(student)])
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await session.execute(update(Student).where(Student.id == student.id).values(standing=standing))
    report = await import_rows(app_context, world.school, [without_number(student)])
    assert (report.quarantined, report.created) == (0, 1)
    (quarantined,) = await load_quarantined(owner, student)
    assert (quarantined.state, quarantined.row_data, quarantined.id_number_sealed) == ("released", {}, None)


@pytest.mark.parametrize("standing", ["01", "02", "04", "05", "06", "12", "13", "15"])
async def test_person_on_a_roll_in_any_unended_standing_is_quarantined(
    app_context: AppContext, owner: Database, world: SampleProvince, standing: str
) -> None:
    student = world.sister.students[0]
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await session.execute(update(Student).where(Student.id == student.id).values(standing=standing))
    report = await import_rows(app_context, world.school, [without_number(student)])
    assert (report.quarantined, report.created) == (1, 0)


async def test_two_schools_importing_the_same_person_at_once_enrol_one(
    app_context: AppContext, owner: Database, world: SampleProvince
) -> None:
    newcomer = world.school.students[0]
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        await session.execute(update(Student).where(Student.id == newcomer.id).values(standing="07"))
    schools = (world.sister, world.direct)
    reports = await asyncio.gather(
        *(import_rows(app_context, school, [without_number(newcomer)]) for school in schools)
    )
    assert sorted((report.created, report.quarantined) for report in reports) == [(0, 1), (1, 0)]


async def test_database_refuses_a_second_active_student(
    app_context: AppContext, owner: Database, world: SampleProvince
) -> None:
    student, klass = world.sister.students[0], world.school.classes[0]
    second = SampleStudent(new_id(), world.school.id, klass.id, student.name, student.id_number, "G1")
    with pytest.raises(IntegrityError, match="uq_student_enrolled"):
        async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            session.add(student_record(second, app_context.keys))
            await session.flush()


def test_condition_of_the_index_names_the_ended_standings() -> None:
    assert ENROLLED_CONDITION == "standing NOT IN ('03', '07', '08', '09', '10', '11', '14', '99')"
