"""Roster imports are idempotent and never change a legal state."""

import asyncio
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import legal_day, now
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
from backend.people.tables import Guardian, GuardianLink, SchoolClass, Student
from backend.standing.store.tables import StudentStanding
from tests.exchange.conftest import TODAY
from tests.support.province import (
    SampleProvince,
    SampleSchool,
    counselor_account,
    create_sample_province,
    province_account,
    registrar_account,
)

Records = list[dict[str, str]]


@pytest.fixture
async def world(owner: Database, app_context: AppContext) -> SampleProvince:
    """Create organisations without students for each test."""
    return await create_sample_province(owner, app_context.keys, classes=0, students=0)


def generate_records(count: int = 40, **plan: Any) -> Records:
    """Generate unique students as dicts that a test may modify."""
    school = plan_school(
        "4141000001", "示例职业学校（虚构）", students=count, **{"part_time_classes": 0, **plan}
    )
    return [dict(record) for record in generate_students(new_id().int % 2**32, [school])]


@pytest.fixture
def read_rows(tmp_path: Path) -> Callable[..., list[RosterRow]]:
    """Write records to a file and return its valid rows."""

    def read(records: Records, *, variant: str = "national", form: str = "csv-utf8") -> list[RosterRow]:
        path = tmp_path / f"roster.{form.partition('-')[0]}"
        write_roster(path, records, variant=variant, form=form)
        checked = validate_roster(path, tmp_path / "rows", today=TODAY)
        assert checked.summary.importable
        return list(checked.rows())

    return read


async def import_rows(
    app_context: AppContext, school: SampleSchool, rows: list[RosterRow], actor: Actor | None = None
) -> ImportReport:
    """Import rows, by default as the school's registrar."""
    actor = actor or registrar_account(school)
    async with app_context.database.transaction(actor.scope) as session:
        unit = await session.get_one(OrgUnit, school.id)
        return await import_roster(
            session, actor, RosterImport(unit, rows, "00" * 32), app_context.keys, now()
        )


async def load_students(app_context: AppContext, school: SampleSchool) -> dict[str, Student]:
    """Load the students of a school by name."""
    async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
        return {each.name: each for each in await session.scalars(select(Student))}


def count_changes(report: ImportReport) -> tuple[int, int, int]:
    return report.created, report.updated, report.unchanged


def give_distinct_names(records: Records) -> Records:
    digits = "〇一二三四五六七八九"
    return [
        {**record, "姓名": f"生{''.join(digits[int(digit)] for digit in str(number))}"}
        for number, record in enumerate(records)
    ]


@pytest.mark.parametrize("variant", ["national", "national-2022"])
@pytest.mark.parametrize("form", FORMATS)
async def test_students_of_every_variant_and_format_are_imported(
    app_context: AppContext,
    world: SampleProvince,
    read_rows: Callable[..., list[RosterRow]],
    variant: str,
    form: str,
) -> None:
    records = give_distinct_names(generate_records(60, part_time_classes=1))
    report = await import_rows(app_context, world.school, read_rows(records, variant=variant, form=form))
    assert count_changes(report) == (60, 0, 0)
    students = await load_students(app_context, world.school)
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


async def test_classes_are_created_with_entry_year_and_major(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = generate_records(100)
    report = await import_rows(app_context, world.school, read_rows(records))
    expected = {record["班级名称"]: (int(record["入学年月"][:4]), record["专业简称"]) for record in records}
    assert report.classes_created == len(expected) == 2
    async with app_context.database.transaction(Scope.school(world.school.id)) as session:
        made = {each.name: (each.grade, each.major) for each in await session.scalars(select(SchoolClass))}
    assert made == expected


async def test_importing_the_same_file_again_changes_nothing(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    rows = read_rows(generate_records())
    await import_rows(app_context, world.school, rows)
    before = await load_students(app_context, world.school)
    again = await import_rows(app_context, world.school, [replace(row, row=row.row + 5) for row in rows])
    assert count_changes(again) == (0, 0, 40)
    assert (again.classes_created, again.flagged, again.quarantined, again.not_in_file) == (0, 0, 0, 0)
    after = await load_students(app_context, world.school)
    assert {(each.id, each.updated_at) for each in before.values()} == {
        (each.id, each.updated_at) for each in after.values()
    }


async def test_changed_phone_updates_only_that_student(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = give_distinct_names(generate_records())
    await import_rows(app_context, world.school, read_rows(records))
    before = await load_students(app_context, world.school)
    records[3]["联系电话"] = "15499999999"
    report = await import_rows(app_context, world.school, read_rows(records))
    assert count_changes(report) == (0, 1, 39)
    after = await load_students(app_context, world.school)
    changed = {name for name in after if after[name].updated_at != before[name].updated_at}
    assert changed == {records[3]["姓名"]}
    assert after[records[3]["姓名"]].phone == "15499999999"
    assert after[records[3]["姓名"]].id == before[records[3]["姓名"]].id


async def load_guardians(app_context: AppContext, school: SampleSchool) -> list[tuple[UUID, int, str]]:
    async with app_context.database.transaction(Scope.school(school.id)) as session:
        rows = await session.execute(select(Guardian.student_id, Guardian.position, Guardian.name))
        return sorted((student, position, name) for student, position, name in rows)


async def test_guardians_of_a_changed_student_are_replaced(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = give_distinct_names(generate_records())
    records[0] |= {"成员2姓名": "旧人", "成员2关系": "母亲", "成员2是否监护人": "是"}
    await import_rows(app_context, world.school, read_rows(records))
    before = await load_guardians(app_context, world.school)
    assert len(before) == 41
    records[0] |= {"成员1姓名": "新人", "成员2姓名": "", "成员2关系": "", "成员2是否监护人": ""}
    assert count_changes(await import_rows(app_context, world.school, read_rows(records))) == (0, 1, 39)
    after = await load_guardians(app_context, world.school)
    student = (await load_students(app_context, world.school))[records[0]["姓名"]].id
    assert [entry for entry in after if entry[0] == student] == [(student, 1, "新人")]
    assert [e for e in after if e[0] != student] == [e for e in before if e[0] != student]


async def test_guardian_who_did_not_change_keeps_the_row(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    """Links to guardians refer to the row, and end when it is replaced."""

    async def load_ids(student_id: UUID) -> dict[str, UUID]:
        query = select(Guardian.name, Guardian.id).where(Guardian.student_id == student_id)
        async with app_context.database.transaction(Scope.school(world.school.id)) as session:
            return {row.name: row.id for row in await session.execute(query)}

    records = give_distinct_names(generate_records())
    records[0] |= {"成员1姓名": "甲", "成员2姓名": "乙", "成员2关系": "母亲", "成员2是否监护人": "是"}
    await import_rows(app_context, world.school, read_rows(records))
    student_id = (await load_students(app_context, world.school))[records[0]["姓名"]].id
    before = await load_ids(student_id)
    async with app_context.database.transaction(Scope.school(world.school.id)) as session:
        session.add_all(make_link(world.school, student_id, guardian_id) for guardian_id in before.values())
    records[0] |= {"成员2姓名": "丙", "家庭现地址": "另一地址"}
    assert count_changes(await import_rows(app_context, world.school, read_rows(records))) == (0, 1, 39)
    after = await load_ids(student_id)
    assert (set(before), set(after)) == ({"甲", "乙"}, {"甲", "丙"})
    assert after["甲"] == before["甲"]
    query = select(GuardianLink.guardian_id, GuardianLink.revoked_because).where(
        GuardianLink.student_id == student_id
    )
    async with app_context.database.transaction(Scope.school(world.school.id)) as session:
        links = {row.guardian_id: row.revoked_because for row in await session.execute(query)}
    assert links == {before["甲"]: None, before["乙"]: "left_roster"}


def make_link(school: SampleSchool, student_id: UUID, guardian_id: UUID) -> GuardianLink:
    issued_at = now()
    return GuardianLink(
        id=new_id(),
        school_id=school.id,
        student_id=student_id,
        guardian_id=guardian_id,
        guardian_name="家长",
        relation=None,
        token_hash=new_id().bytes,
        cause="miss",
        issued_on=legal_day(issued_at),
        number=1,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(days=30),
        window_requests=0,
    )


async def test_different_study_form_is_flagged_and_not_imported(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = give_distinct_names(generate_records())
    await import_rows(app_context, world.school, read_rows(records))
    records[1] |= {"学习形式": "非全日制"}
    records[2] |= {"学习形式": "非全日制", "联系电话": "15499999998"}
    report = await import_rows(app_context, world.school, read_rows(records))
    assert count_changes(report) == (0, 1, 39)
    assert report.flagged == 2
    assert [(each.row, each.column, each.value, each.code) for each in report.findings] == [
        (3, "学习形式", "非全日制", "study_form_kept"),
        (4, "学习形式", "非全日制", "study_form_kept"),
    ]
    assert "学籍异动" in report.findings[0].zh
    students = await load_students(app_context, world.school)
    assert {each.study_form for each in students.values()} == {"full_time"}
    assert students[records[2]["姓名"]].phone == "15499999998"


@pytest.mark.clause("HN334-4.1c")
async def test_locked_record_keeps_its_study_form_with_a_finding(
    app_context: AppContext, owner: Database, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = give_distinct_names(generate_records())
    await import_rows(app_context, world.school, read_rows(records))
    locked = (await load_students(app_context, world.school))[records[1]["姓名"]]
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
    report = await import_rows(app_context, world.school, read_rows(records))
    assert report.flagged == 2
    assert [(each.code, each.row, each.column, each.value) for each in report.findings] == [
        ("study_form_locked", 3, "学习形式", "非全日制"),
        ("study_form_kept", 4, "学习形式", "非全日制"),
    ]
    assert "锁定" in report.findings[0].zh
    assert {each.study_form for each in (await load_students(app_context, world.school)).values()} == {
        "full_time"
    }


async def test_import_does_not_change_a_decided_standing(
    app_context: AppContext, owner: Database, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = give_distinct_names(generate_records())
    await import_rows(app_context, world.school, read_rows(records))
    async with owner.transaction(Scope.none()) as session:
        await session.execute(
            text("UPDATE student SET standing = '02', study_form = 'part_time' WHERE school_id = :school"),
            {"school": world.school.id},
        )
    for record in records:
        record["家庭现地址"] += "甲"
    report = await import_rows(app_context, world.school, read_rows(records))
    assert (count_changes(report), report.flagged) == ((0, 40, 0), 40)
    states = {
        (each.standing, each.study_form) for each in (await load_students(app_context, world.school)).values()
    }
    assert states == {("02", "part_time")}


async def test_students_missing_from_the_file_are_counted_and_kept(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    rows = read_rows(give_distinct_names(generate_records()))
    await import_rows(app_context, world.school, rows)
    report = await import_rows(app_context, world.school, rows[:30])
    assert (count_changes(report), report.not_in_file) == ((0, 0, 30), 10)
    assert len(await load_students(app_context, world.school)) == 40


@pytest.mark.clause("MOE19-2.4", "R23")
async def test_person_enrolled_elsewhere_is_quarantined_without_naming_the_school(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    rows = read_rows(generate_records())
    await import_rows(app_context, world.sister, rows[:2])
    report = await import_rows(app_context, world.school, rows)
    assert (count_changes(report), report.quarantined, report.rows) == ((38, 0, 0), 2, 40)
    assert [(each.row, each.code) for each in report.findings] == [
        (2, "on_another_roll"),
        (3, "on_another_roll"),
    ]
    told = str(report)
    assert world.sister.unit.code not in told
    assert world.sister.unit.name not in told
    assert not any(row.document_number in told for row in rows)


async def test_student_number_of_another_student_rejects_the_file(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = generate_records()
    for number, record in enumerate(records[:2]):
        stem = f"41010120080101{number + 1:03}"
        record["学号"] = f"J{stem}{check_character(stem)}"
    rows = read_rows(records)
    await import_rows(app_context, world.school, rows[:1])
    taken = replace(rows[1], student_number=rows[0].student_number)
    with pytest.raises(StudentNumbersTaken, match=r"CSV!3"):
        await import_rows(app_context, world.school, [*rows[2:], taken])
    assert len(await load_students(app_context, world.school)) == 1


async def test_id_numbers_of_relatives_are_not_stored(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    records = [{**record, "成员1身份证件号码": "410102197001010017"} for record in generate_records()]
    await import_rows(app_context, world.school, read_rows(records))
    for student in (await load_students(app_context, world.school)).values():
        assert "410102197001010017" not in str(student.record)


async def test_concurrent_imports_create_each_student_once(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    rows = read_rows(give_distinct_names(generate_records(200)))
    reports = await asyncio.gather(*(import_rows(app_context, world.school, rows) for _ in range(2)))
    assert sorted(count_changes(report) for report in reports) == [(0, 0, 200), (200, 0, 0)]
    assert len(await load_students(app_context, world.school)) == 200
    assert len(await load_guardians(app_context, world.school)) == 200


async def test_only_the_registrar_of_the_school_imports(
    app_context: AppContext, owner: Database, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    rows = read_rows(generate_records())
    peopled = await create_sample_province(owner, app_context.keys, classes=1, students=1)
    refused: dict[str, type[DomainError]] = {}
    accounts = {
        "registrar of another school": registrar_account(world.sister),
        "province": province_account(world.province),
        "counselor": counselor_account(peopled.school, peopled.school.classes[0]),
    }
    for name, actor in accounts.items():
        with pytest.raises((NotFound, NotPermitted)) as refusal:
            await import_rows(app_context, world.school, rows, actor)
        refused[name] = refusal.type
    assert refused == {
        "registrar of another school": NotFound,
        "province": NotPermitted,
        "counselor": NotPermitted,
    }
    assert await load_students(app_context, world.school) == {}


async def test_database_rejects_an_import_in_another_schools_scope(
    app_context: AppContext, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    rows = read_rows(generate_records())

    async def enter_from_next_door() -> None:
        async with app_context.database.transaction(registrar_account(world.sister).scope) as session:
            unit = await session.get_one(OrgUnit, world.school.id)
            await import_roster_as_system(session, RosterImport(unit, rows, ""), app_context.keys, now())

    with pytest.raises(ProgrammingError, match="row-level security"):
        await enter_from_next_door()


async def test_import_is_audited_and_emits_an_event_with_counts(
    app_context: AppContext, owner: Database, world: SampleProvince, read_rows: Callable[..., list[RosterRow]]
) -> None:
    await import_rows(app_context, world.school, read_rows(generate_records()))
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


async def test_child_process_gives_the_same_result(tmp_path: Path) -> None:
    path = tmp_path / "roster.xlsx"
    write_roster(path, generate_records(), variant="national", form="xlsx")
    direct = validate_roster(path, tmp_path / "direct", today=TODAY)
    in_child = await validate_upload(path, tmp_path / "child", today=TODAY)
    assert (in_child.summary, in_child.sha256) == (direct.summary, direct.sha256)
    assert list(in_child.rows()) == list(direct.rows())


async def test_error_of_the_child_process_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "roster.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0" * 10)
    with pytest.raises(RosterKindUnsupported, match="roster"):
        await validate_upload(path, tmp_path / "rows", today=TODAY)


async def test_upload_that_needs_too_much_memory_is_rejected(tmp_path: Path) -> None:
    """One row of two million elements, compressed to a few kilobytes."""
    path, hostile_path = tmp_path / "roster.xlsx", tmp_path / "hostile.xlsx"
    write_roster(path, generate_records(), variant="national", form="xlsx")
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
