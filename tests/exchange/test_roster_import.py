"""Entering a roster: the same file twice changes nothing, and a file never changes a legal state."""

import asyncio
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import DomainError, NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.tables import AuditEntry, OutboxEvent
from backend.core.tenancy import Scope
from backend.exchange.child_process import run_in_child_process
from backend.exchange.roster.errors import RosterKindUnsupported, RosterTooLarge, StudentNumbersTaken
from backend.exchange.roster.generator import generate_students, plan_school
from backend.exchange.roster.importer import (
    ImportReport,
    RosterImport,
    import_roster,
    import_roster_as_system,
)
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.validation import validate_roster, validate_upload
from backend.exchange.roster.writer import FORMATS, write_roster
from backend.org.tables import OrgUnit
from backend.people.identifiers import check_character
from backend.people.queries import id_number_context
from backend.people.tables import Guardian, SchoolClass, Student
from backend.standing.store.tables import StudentStanding
from tests.exchange.conftest import TODAY
from tests.support.province import (
    School,
    World,
    counselor_account,
    plant,
    province_account,
    registrar_account,
)

Records = list[dict[str, str]]


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> World:
    """Schools without students, new for each test."""
    return await plant(owner, app_context.keys, classes=0, students=0)


def invented(count: int = 40, **plan: Any) -> Records:
    """Students whom no other test has, as dicts that a test may spoil."""
    school = plan_school(
        "4141000001", "示例职业学校（虚构）", students=count, **{"part_time_classes": 0, **plan}
    )
    return [dict(record) for record in generate_students(new_id().int % 2**32, [school])]


@pytest.fixture
def rows_of(tmp_path: Path) -> Callable[..., list[RosterRow]]:
    """The checked rows of records, by way of a real file."""

    def read(records: Records, *, variant: str = "national", form: str = "csv-utf8") -> list[RosterRow]:
        path = tmp_path / f"roster.{form.partition('-')[0]}"
        write_roster(path, records, variant=variant, form=form)
        checked = validate_roster(path, tmp_path / "rows", today=TODAY)
        assert checked.summary.importable
        return list(checked.rows())

    return read


async def enter(
    app_context: AppContext, school: School, rows: list[RosterRow], actor: Actor | None = None
) -> ImportReport:
    """As the school's registrar, unless the test says who."""
    actor = actor or registrar_account(school)
    async with app_context.database.transaction(actor.scope) as session:
        unit = await session.get_one(OrgUnit, school.id)
        return await import_roster(
            session, actor, RosterImport(unit, rows, "00" * 32), app_context.keys, now()
        )


async def roll(app_context: AppContext, school: School) -> dict[str, Student]:
    """The students of a school by name."""
    async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
        return {each.name: each for each in await session.scalars(select(Student))}


def fates(report: ImportReport) -> tuple[int, int, int]:
    return report.created, report.updated, report.unchanged


def with_distinct_names(records: Records) -> Records:
    digits = "〇一二三四五六七八九"
    return [
        {**record, "姓名": f"生{''.join(digits[int(digit)] for digit in str(number))}"}
        for number, record in enumerate(records)
    ]


@pytest.mark.parametrize("variant", ["national", "national-2022"])
@pytest.mark.parametrize("form", FORMATS)
async def test_the_students_of_every_variant_and_format_come_onto_the_roll(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]], variant: str, form: str
) -> None:
    records = with_distinct_names(invented(60, part_time_classes=1))
    report = await enter(app_context, world.school, rows_of(records, variant=variant, form=form))
    assert fates(report) == (60, 0, 0)
    students = await roll(app_context, world.school)
    for record in records:
        student = students[record["姓名"]]
        sealed = app_context.keys.decrypt(
            "identifier", student.id_number_sealed, id_number_context(student.id)
        )
        assert sealed.decode() == record["身份证件号"]
        assert student.id_number_index == app_context.keys.blind_index(record["身份证件号"])
        assert (student.study_form == "part_time") == (record["学习形式"] == "非全日制")
        assert (student.standing, student.entry_month) == ("01", record["入学年月"])
        assert student.record["家庭现地址"] == record["家庭现地址"]


async def test_classes_are_made_by_name_with_the_year_of_entry_and_the_major(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = invented(100)
    report = await enter(app_context, world.school, rows_of(records))
    expected = {record["班级名称"]: (int(record["入学年月"][:4]), record["专业简称"]) for record in records}
    assert report.classes_created == len(expected) == 2
    async with app_context.database.transaction(Scope.school(world.school.id)) as session:
        made = {each.name: (each.grade, each.major) for each in await session.scalars(select(SchoolClass))}
    assert made == expected


async def test_the_same_file_again_changes_nothing(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    rows = rows_of(invented())
    await enter(app_context, world.school, rows)
    before = await roll(app_context, world.school)
    again = await enter(app_context, world.school, [replace(row, row=row.row + 5) for row in rows])
    assert fates(again) == (0, 0, 40)
    assert (again.classes_created, again.flagged, again.elsewhere, again.not_in_file) == (0, 0, 0, 0)
    after = await roll(app_context, world.school)
    assert {(each.id, each.updated_at) for each in before.values()} == {
        (each.id, each.updated_at) for each in after.values()
    }


async def test_a_changed_phone_updates_that_student_only(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = with_distinct_names(invented())
    await enter(app_context, world.school, rows_of(records))
    before = await roll(app_context, world.school)
    records[3]["联系电话"] = "15499999999"
    report = await enter(app_context, world.school, rows_of(records))
    assert fates(report) == (0, 1, 39)
    after = await roll(app_context, world.school)
    changed = {name for name in after if after[name].updated_at != before[name].updated_at}
    assert changed == {records[3]["姓名"]}
    assert after[records[3]["姓名"]].phone == "15499999999"
    assert after[records[3]["姓名"]].id == before[records[3]["姓名"]].id


async def guardians(app_context: AppContext, school: School) -> list[tuple[UUID, int, str]]:
    async with app_context.database.transaction(Scope.school(school.id)) as session:
        rows = await session.execute(select(Guardian.student_id, Guardian.position, Guardian.name))
        return sorted((student, position, name) for student, position, name in rows)


async def test_the_guardians_of_a_changed_student_are_replaced_as_a_set(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = with_distinct_names(invented())
    records[0] |= {"成员2姓名": "旧人", "成员2关系": "母亲", "成员2是否监护人": "是"}
    await enter(app_context, world.school, rows_of(records))
    before = await guardians(app_context, world.school)
    assert len(before) == 41
    records[0] |= {"成员1姓名": "新人", "成员2姓名": "", "成员2关系": "", "成员2是否监护人": ""}
    assert fates(await enter(app_context, world.school, rows_of(records))) == (0, 1, 39)
    after = await guardians(app_context, world.school)
    student = (await roll(app_context, world.school))[records[0]["姓名"]].id
    assert [entry for entry in after if entry[0] == student] == [(student, 1, "新人")]
    assert [e for e in after if e[0] != student] == [e for e in before if e[0] != student]


async def test_a_study_form_that_differs_is_flagged_and_the_roll_keeps_its_own(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = with_distinct_names(invented())
    await enter(app_context, world.school, rows_of(records))
    records[1] |= {"学习形式": "非全日制"}
    records[2] |= {"学习形式": "非全日制", "联系电话": "15499999998"}
    report = await enter(app_context, world.school, rows_of(records))
    assert fates(report) == (0, 1, 39)
    assert report.flagged == 2
    assert [(each.row, each.column, each.value, each.code) for each in report.findings] == [
        (3, "学习形式", "非全日制", "study_form_kept"),
        (4, "学习形式", "非全日制", "study_form_kept"),
    ]
    assert "学籍异动" in report.findings[0].zh
    students = await roll(app_context, world.school)
    assert {each.study_form for each in students.values()} == {"full_time"}
    assert students[records[2]["姓名"]].phone == "15499999998"


@pytest.mark.clause("HN334-4.1c")
async def test_a_locked_record_keeps_its_study_form_and_the_finding_says_why(
    app_context: AppContext, owner: Database, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = with_distinct_names(invented())
    await enter(app_context, world.school, rows_of(records))
    locked = (await roll(app_context, world.school))[records[1]["姓名"]]
    async with owner.transaction(Scope.none()) as session:
        session.add(
            StudentStanding(
                student_id=locked.id,
                school_id=world.school.id,
                as_of=now(),
                policy_version="-",
                digest=b"-",
                locked_by=new_id(),
                assessment={},
                next_at=None,
            )
        )
    for record in records[1:3]:
        record["学习形式"] = "非全日制"
    report = await enter(app_context, world.school, rows_of(records))
    assert report.flagged == 2
    assert [(each.code, each.row, each.column, each.value) for each in report.findings] == [
        ("study_form_locked", 3, "学习形式", "非全日制"),
        ("study_form_kept", 4, "学习形式", "非全日制"),
    ]
    assert "锁定" in report.findings[0].zh
    assert {each.study_form for each in (await roll(app_context, world.school)).values()} == {"full_time"}


async def test_a_standing_that_was_decided_outlives_an_import(
    app_context: AppContext, owner: Database, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = with_distinct_names(invented())
    await enter(app_context, world.school, rows_of(records))
    async with owner.transaction(Scope.none()) as session:
        await session.execute(
            text("UPDATE student SET standing = '02', study_form = 'part_time' WHERE school_id = :school"),
            {"school": world.school.id},
        )
    for record in records:
        record["家庭现地址"] += "甲"
    report = await enter(app_context, world.school, rows_of(records))
    assert (fates(report), report.flagged) == ((0, 40, 0), 40)
    states = {(each.standing, each.study_form) for each in (await roll(app_context, world.school)).values()}
    assert states == {("02", "part_time")}


async def test_students_who_are_not_in_the_file_are_counted_and_left(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    rows = rows_of(with_distinct_names(invented()))
    await enter(app_context, world.school, rows)
    report = await enter(app_context, world.school, rows[:30])
    assert (fates(report), report.not_in_file) == ((0, 0, 30), 10)
    assert len(await roll(app_context, world.school)) == 40


@pytest.mark.clause("MOE19-2.4")
async def test_a_person_on_another_schools_roll_is_a_warning_that_names_no_school(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    rows = rows_of(invented())
    await enter(app_context, world.sister, rows[:2])
    report = await enter(app_context, world.school, rows)
    assert (fates(report), report.elsewhere) == ((40, 0, 0), 2)
    assert [(each.row, each.code) for each in report.findings] == [
        (2, "on_another_roll"),
        (3, "on_another_roll"),
    ]
    told = str(report)
    assert world.sister.unit.code not in told
    assert world.sister.unit.name not in told
    assert not any(row.document_number in told for row in rows)


async def test_a_student_number_of_another_student_refuses_the_whole_file(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = invented()
    for number, record in enumerate(records[:2]):
        stem = f"41010120080101{number + 1:03}"
        record["学号"] = f"J{stem}{check_character(stem)}"
    rows = rows_of(records)
    await enter(app_context, world.school, rows[:1])
    taken = replace(rows[1], student_number=rows[0].student_number)
    with pytest.raises(StudentNumbersTaken, match=r"CSV!3"):
        await enter(app_context, world.school, [*rows[2:], taken])
    assert len(await roll(app_context, world.school)) == 1


async def test_relatives_id_numbers_are_not_kept(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    records = [{**record, "成员1身份证件号码": "410102197001010017"} for record in invented()]
    await enter(app_context, world.school, rows_of(records))
    for student in (await roll(app_context, world.school)).values():
        assert "410102197001010017" not in str(student.record)


async def test_two_imports_at_once_end_with_one_set_of_students(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    rows = rows_of(with_distinct_names(invented(200)))
    reports = await asyncio.gather(*(enter(app_context, world.school, rows) for _ in range(2)))
    assert sorted(fates(report) for report in reports) == [(0, 0, 200), (200, 0, 0)]
    assert len(await roll(app_context, world.school)) == 200
    assert len(await guardians(app_context, world.school)) == 200


async def test_only_the_schools_own_registrar_imports(
    app_context: AppContext, owner: Database, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    rows = rows_of(invented())
    peopled = await plant(owner, app_context.keys, classes=1, students=1)
    refused: dict[str, type[DomainError]] = {}
    accounts = {
        "registrar of another school": registrar_account(world.sister),
        "province": province_account(world.province),
        "counselor": counselor_account(peopled.school, peopled.school.classes[0]),
    }
    for name, actor in accounts.items():
        with pytest.raises((NotFound, NotPermitted)) as refusal:
            await enter(app_context, world.school, rows, actor)
        refused[name] = refusal.type
    assert refused == {
        "registrar of another school": NotFound,
        "province": NotPermitted,
        "counselor": NotPermitted,
    }
    assert await roll(app_context, world.school) == {}


async def test_an_import_under_another_schools_scope_is_refused_by_the_database(
    app_context: AppContext, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    rows = rows_of(invented())

    async def enter_from_next_door() -> None:
        async with app_context.database.transaction(registrar_account(world.sister).scope) as session:
            unit = await session.get_one(OrgUnit, world.school.id)
            await import_roster_as_system(session, RosterImport(unit, rows, ""), app_context.keys, now())

    with pytest.raises(ProgrammingError, match="row-level security"):
        await enter_from_next_door()


async def test_an_import_leaves_its_counts_and_the_files_digest_in_the_audit_and_the_outbox(
    app_context: AppContext, owner: Database, world: World, rows_of: Callable[..., list[RosterRow]]
) -> None:
    await enter(app_context, world.school, rows_of(invented()))
    async with owner.transaction(Scope.none()) as session:
        [entry] = await session.scalars(
            select(AuditEntry).where(
                AuditEntry.subject_id == str(world.school.id), AuditEntry.action == "roster.import"
            )
        )
        [event] = await session.scalars(
            select(OutboxEvent).where(
                OutboxEvent.name == "RosterImported",
                OutboxEvent.payload["school_id"].astext == str(world.school.id),
            )
        )
    assert entry.after is not None
    assert (entry.after["created"], entry.after["file_sha256"]) == (40, "00" * 32)
    assert event.payload == {"school_id": str(world.school.id), **entry.after}


async def test_an_upload_read_apart_gives_the_same_as_reading_it_here(tmp_path: Path) -> None:
    path = tmp_path / "roster.xlsx"
    write_roster(path, invented(), variant="national", form="xlsx")
    here = validate_roster(path, tmp_path / "here", today=TODAY)
    apart = await validate_upload(path, tmp_path / "apart", today=TODAY)
    assert (apart.summary, apart.sha256) == (here.summary, here.sha256)
    assert list(apart.rows()) == list(here.rows())


async def test_a_refusal_of_an_upload_read_apart_is_the_same_refusal(tmp_path: Path) -> None:
    path = tmp_path / "roster.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0" * 10)
    with pytest.raises(RosterKindUnsupported, match="roster"):
        await validate_upload(path, tmp_path / "rows", today=TODAY)


async def test_an_upload_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    """One row of two million elements, compressed to a few kilobytes."""
    path, hostile_path = tmp_path / "roster.xlsx", tmp_path / "hostile.xlsx"
    write_roster(path, invented(), variant="national", form="xlsx")
    with (
        zipfile.ZipFile(path) as original,
        zipfile.ZipFile(hostile_path, "w", zipfile.ZIP_DEFLATED) as hostile,
    ):
        for name in original.namelist():
            content = original.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = content.replace(b"</row>", b"<c/>" * 2_000_000 + b"</row>", 1)
            hostile.writestr(name, content)
    with pytest.raises(RosterTooLarge, match="memory"):
        validate = partial(validate_roster, hostile_path, tmp_path / "rows", today=TODAY, shown=5)
        await run_in_child_process(validate, 64 * 2**20)
