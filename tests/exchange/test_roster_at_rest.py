"""A copy of the database contains no ID number after an import, not even inside a student number."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.core.tenancy import Scope
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.importer import ImportReport, RosterImport, import_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.staging import stage_row
from backend.exchange.roster.validation import validate_roster
from backend.exchange.roster.writer import write_roster
from backend.org.tables import OrgUnit
from backend.people.identifiers import check_character, mask
from backend.people.queries import decrypt_student_number
from backend.people.tables import Student
from tests.exchange.conftest import TODAY
from tests.support.database_contents import columns_holding
from tests.support.province import SampleSchool, create_sample_province, registrar_account

Records = list[dict[str, str]]
Reader = Callable[[Records], list[RosterRow]]

RELATIVE = "410102197001010017"


@pytest.fixture
async def school(owner: Database, app_context: AppContext) -> SampleSchool:
    """Return a new school without students."""
    return (await create_sample_province(owner, app_context.keys, classes=0, students=0)).school


@pytest.fixture
def generate_records() -> Records:
    """Generate twenty unique students with the student number `G` + ID number."""
    plan = plan_school("4141000001", "示例职业学校（虚构）", students=20, part_time_classes=0)
    records = [dict(record) for record in generate_students(new_id().int % 2**32, [plan])]
    return [{**record, "学号": f"G{record['身份证件号']}"} for record in records]


@pytest.fixture
def read_rows(tmp_path: Path) -> Reader:
    """Write records to a file and return its valid rows."""

    def read(records: Records) -> list[RosterRow]:
        path = tmp_path / "roster.csv"
        write_roster(path, records, variant="national", form="csv-utf8")
        return list(validate_roster(path, tmp_path / "rows", today=TODAY).rows())

    return read


async def import_rows(app_context: AppContext, school: SampleSchool, rows: list[RosterRow]) -> ImportReport:
    actor = registrar_account(school)
    async with app_context.database.transaction(actor.scope) as session:
        unit = await session.get_one(OrgUnit, school.id)
        return await import_roster(
            session, actor, RosterImport(unit, rows, "00" * 32), app_context.keys, now()
        )


async def load_student_numbers(app_context: AppContext, school: SampleSchool) -> dict[str, str | None]:
    """Load the decrypted student numbers by name, found by their blind index."""
    async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
        students = (await session.scalars(select(Student))).all()
    opened = {each.name: decrypt_student_number(each, app_context.keys) for each in students}
    for each in students:
        number = opened[each.name]
        assert each.student_number_index == (app_context.keys.blind_index(number) if number else None)
    return opened


def build_foreign_number(serial: int) -> str:
    """Return a student number that contains no ID number."""
    stem = f"41010120080101{serial:03}"
    return f"J{stem}{check_character(stem)}"


async def test_no_column_contains_an_id_number_after_an_import(
    app_context: AppContext,
    owner: Database,
    school: SampleSchool,
    generate_records: Records,
    read_rows: Reader,
) -> None:
    generate_records[0]["考生号"] = generate_records[0]["身份证件号"]
    generate_records[1]["家庭现地址"] += f"（身份证{generate_records[1]['身份证件号'].lower()}）"
    for record in generate_records:
        record["成员1身份证件号码"] = RELATIVE
    rows = read_rows(generate_records)
    assert (await import_rows(app_context, school, rows)).created == len(rows)
    updated = [replace(row, phone="15499999999") for row in rows]
    assert (await import_rows(app_context, school, updated)).updated == len(rows)
    ids = {record["身份证件号"] for record in generate_records}
    assert await columns_holding(owner, {*ids, *(each.lower() for each in ids), RELATIVE}) == set()
    # The same search finds what does lie in clear, in text, in JSON and in bytes.
    assert "student.name" in await columns_holding(owner, {generate_records[0]["姓名"]})
    assert "student.record" in await columns_holding(owner, {mask(generate_records[0]["身份证件号"])})
    sealed_under = app_context.keys.current["identifier"] + "\\000"
    assert "student.student_number_sealed" in await columns_holding(owner, {sealed_under})


def test_examination_number_that_is_not_an_id_number_is_stored(
    app_context: AppContext, generate_records: Records, read_rows: Reader
) -> None:
    kept = "410102200801010000"
    [row] = read_rows([{**generate_records[0], "准考证号": kept, "考生号": f"1{kept}"}])
    record = stage_row(row, app_context.keys).values["record"].obj
    assert (record["准考证号"], record["考生号"]) == (kept, f"1{kept}")


def test_row_digest_reveals_no_student_number_without_the_key(
    app_context: AppContext, generate_records: Records, read_rows: Reader
) -> None:
    """With a key ring that gives every student number the same index, rows that differ only in it have one digest."""
    [row] = read_rows(generate_records[:1])

    class Forgetful(KeyRing):
        def blind_index(self, value: str) -> bytes:
            return b"?" if value[0] in "GJ" else super().blind_index(value)

    keys = Forgetful(app_context.keys.current, app_context.keys.secrets, app_context.keys.signers)
    digests = {
        stage_row(replace(row, student_number=number), keys).values["digest"]
        for number in (row.student_number, build_foreign_number(1))
    }
    assert len(digests) == 1


async def test_changed_student_number_is_sealed_for_its_student(
    app_context: AppContext, school: SampleSchool, generate_records: Records, read_rows: Reader
) -> None:
    for serial, record in enumerate(generate_records):
        record["姓名"] = f"学生{'甲乙丙丁戊己庚辛壬癸'[serial % 10]}{'一二'[serial // 10]}"
    first, second, third = (dict(record) for record in generate_records[:3])
    first["学号"], second["学号"] = build_foreign_number(1), ""
    await import_rows(app_context, school, read_rows([first, second, third]))
    names = [record["姓名"] for record in (first, second, third)]
    before = await load_student_numbers(app_context, school)
    assert [before[name] for name in names] == [build_foreign_number(1), None, third["学号"]]
    third["学号"] = ""
    report = await import_rows(
        app_context, school, read_rows([generate_records[0], generate_records[1], third])
    )
    assert (report.created, report.updated) == (0, 3)
    after = await load_student_numbers(app_context, school)
    assert [after[name] for name in names] == [generate_records[0]["学号"], generate_records[1]["学号"], None]
