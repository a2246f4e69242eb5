"""Cells, headers and class names match whatever their spelling; what was given is stored unchanged."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.core.tenancy import Scope
from backend.exchange.roster.importer import ImportReport, RosterImport, import_roster
from backend.exchange.roster.issues import RowIssue
from backend.exchange.roster.reader import read_roster
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.summary import summarise
from backend.org.tables import OrgUnit
from backend.people.queries import StudentSearch, decrypt_id_number, load_student_page
from backend.people.tables import SchoolClass, Student
from tests.exchange.conftest import TODAY
from tests.support.province import SampleProvince, SampleSchool, create_sample_province, registrar_account

Records = list[dict[str, str]]
Writer = Callable[[Sequence[Mapping[str, object]]], Path]
Reader = Callable[[Path], tuple[list[RosterRow], list[RowIssue]]]


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    """Organisations without students."""
    return await create_sample_province(owner, app_context.keys, classes=0, students=0)


async def import_rows(app_context: AppContext, school: SampleSchool, rows: list[RosterRow]) -> ImportReport:
    actor = registrar_account(school)
    async with app_context.database.transaction(actor.scope) as session:
        unit = await session.get_one(OrgUnit, school.id)
        return await import_roster(
            session, actor, RosterImport(unit, rows, "00" * 32), app_context.keys, now()
        )


async def load_classes(app_context: AppContext, school: SampleSchool) -> list[str]:
    async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
        return sorted(await session.scalars(select(SchoolClass.name)))


@pytest.mark.parametrize(
    "header",
    [
        "\u200b姓名",
        "姓\u3000名",
        "姓名_x000D_\n",
        "＊姓名（必填）",
        '="姓名"',
        "\ufeff姓名",
        "\u2067姓名\u2069",
    ],
)
def test_header_is_found_in_every_spelling(
    records: Records, write_records: Writer, read_file: Reader, header: str
) -> None:
    renamed = [{header if name == "姓名" else name: cell for name, cell in records[0].items()}]
    rows, issues = read_file(write_records(renamed))
    assert issues == []
    assert [row.name for row in rows] == [records[0]["姓名"]]


def test_quoted_numbers_of_a_csv_are_read(records: Records, tmp_path: Path, read_file: Reader) -> None:
    record = records[0]
    quoted = {**record, "身份证件号": f'="{record["身份证件号"]}"', "学号": f"\u2066{record['学号']}\u2069"}
    cells = ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in quoted.values())
    path = tmp_path / "quoted.csv"
    path.write_text(f"{','.join(quoted)}\n{cells}\n", encoding="utf-8")
    rows, issues = read_file(path)
    assert issues == []
    assert [(row.document_number, row.student_number) for row in rows] == [
        (record["身份证件号"], record["学号"])
    ]


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("性别", "１－男"),
        ("学习形式", "全 日 制"),
        ("身份证件类型", "ｚ-其他"),
        ("学生类别", "普通中专\u200b"),
        ("成员1是否监护人", "ｙ"),
    ],
)
def test_coded_values_match_in_every_spelling(
    records: Records, write_records: Writer, read_file: Reader, header: str, cell: str
) -> None:
    rows, issues = read_file(write_records([{**records[0], header: cell}]))
    assert {issue.code for issue in issues} <= {"sex_differs_from_id"}
    assert rows or issues


def test_name_is_stored_as_given_between_its_ends(
    records: Records, write_records: Writer, read_file: Reader
) -> None:
    rows, issues = read_file(
        write_records([{**records[0], "姓名": " 欧阳\u2003四_x000D_", "班级名称": "２０２６级２班"}])
    )
    assert issues == []
    assert [(row.name, row.class_name) for row in rows] == [("欧阳\u2003四", "２０２６级２班")]


def test_rows_that_look_blank_are_skipped(
    records: Records, write_sheet: Callable[[Sequence[Sequence[object]]], Path], read_file: Reader
) -> None:
    headers = ["序号", *records[0]]
    looks_blank: list[list[object]] = [
        [2],
        [3, " ", "\u3000", "\u200b"],
        [None, '=""'],
        ["_x000D_", "\ufeff", "'"],
        ["合计"],
    ]
    path = write_sheet([headers, [1, *records[0].values()], *looks_blank, [9, *records[1].values()]])
    rows, issues = read_file(path)
    assert [row.row for row in rows] == [2, 8]
    assert [issue.code for issue in issues] == ["column_unknown"]


async def test_spellings_of_one_class_make_one_class(
    app_context: AppContext, world: SampleProvince, records: Records, write_records: Writer, read_file: Reader
) -> None:
    spellings = ["2026级数控2班", "2026级数控２班", "2026级数控 2班", "2026级数控2班_x000D_", "2026级数控2班"]
    changed = [{**record, "班级名称": name} for record, name in zip(records, spellings, strict=False)]
    path = write_records(changed)
    assert summarise(read_roster(path, today=TODAY)).as_dict()["classes"] == 1
    rows, _ = read_file(path)
    report = await import_rows(app_context, world.school, rows)
    assert (report.created, report.classes_created) == (5, 1)
    assert await load_classes(app_context, world.school) == ["2026级数控2班"]
    again = [{**record, "班级名称": "２０２６级数控２班"} for record in changed]
    rows, _ = read_file(write_records(again))
    report = await import_rows(app_context, world.school, rows)
    assert (report.unchanged, report.classes_created) == (5, 0)


async def test_database_refuses_a_class_with_the_key_of_another(
    app_context: AppContext, world: SampleProvince
) -> None:
    def school_class(name: str, school_id: UUID) -> dict[str, object]:
        return {"id": new_id(), "school_id": school_id, "name": name, "created_at": now()}

    school = world.school
    async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
        await session.execute(insert(SchoolClass), [school_class("2班", school.id)])
    with pytest.raises(IntegrityError, match="uq_school_class_school_id_name_key"):
        async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
            session.add(SchoolClass(**school_class("２ 班", school.id)))


@pytest.mark.parametrize("reads_the_province", [False, True], ids=["registrar", "province"])
async def test_student_is_found_by_any_spelling_of_name_and_number(
    app_context: AppContext,
    world: SampleProvince,
    records: Records,
    write_records: Writer,
    read_file: Reader,
    *,
    reads_the_province: bool,
) -> None:
    record = {**records[0], "姓名": "阿卜杜拉•买买提"}
    rows, _ = read_file(write_records([record, *records[1:3]]))
    await import_rows(app_context, world.school, rows)
    actor, number = registrar_account(world.school), record["身份证件号"]
    if reads_the_province:
        actor = Actor(new_id(), "province", world.province.id, world.province.path)
    wide = "".join(chr(ord(character) + 0xFEE0) for character in number)
    async with app_context.database.transaction(actor.scope) as session:
        for text in (
            "阿卜杜拉·买买提",
            "拉・买 买",
            f" {number.lower()} ",
            wide,
            f"{number[:6]} {number[6:]}",
            f"g{number}",
        ):
            search = StudentSearch(text=text, school_id=world.school.id)
            found = (await load_student_page(session, actor, app_context.keys, search, PageRequest(10))).rows
            assert [row.name for row in found] == ["阿卜杜拉•买买提"], text
        search = StudentSearch(text="\u200b")
        assert (await load_student_page(session, actor, app_context.keys, search, PageRequest(10))).rows == []
        own = (Student.school_id == world.school.id, Student.name == "阿卜杜拉•买买提")
        [student] = await session.scalars(select(Student).where(*own))
        assert decrypt_id_number(student, app_context.keys) == number
