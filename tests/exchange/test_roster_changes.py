"""An import records every field that it changes, and only proposes numbers of students who have bound a phone."""

from typing import Any

import pytest
from sqlalchemy import select

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.exchange.roster.rows import Member
from backend.identity.tables import DeviceKey, PhoneChange
from backend.people.tables import Student
from tests.support.province import PROVINCE_PATH, SampleSchool, SampleStudent, create_sample_province
from tests.support.roster import import_rows, roster_row

OLD, NEW = "13800000000", "13912345678"


@pytest.fixture
async def school(owner: Database, app_context: AppContext) -> SampleSchool:
    """Return a school with two students."""
    return (await create_sample_province(owner, app_context.keys, classes=1, students=2)).school


async def bind_key(owner: Database, student: SampleStudent, status: str = "active") -> None:
    """Insert a device key as if the student had bound a phone."""
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        session.add(
            DeviceKey(
                id=new_id(),
                school_id=student.school_id,
                student_id=student.id,
                jkt=new_id().hex,
                public_jwk={},
                status=status,
                bound_at=now(),
            )
        )


async def load_changes(owner: Database, student: SampleStudent) -> list[tuple[Any, Any]]:
    """Before and after of the student's audit entries by imports, oldest first, without the file's hash."""
    query = (
        select(AuditEntry)
        .where(AuditEntry.action == "roster.student_updated", AuditEntry.subject_id == str(student.id))
        .order_by(AuditEntry.id)
    )
    async with owner.transaction(Scope.none()) as session:
        entries = (await session.scalars(query)).all()
    assert all(entry.after and entry.after.pop("file_sha256") == "00" * 32 for entry in entries)
    return [(entry.before, entry.after) for entry in entries]


async def load_phones(app_context: AppContext, school: SampleSchool) -> dict[Any, str | None]:
    async with app_context.database.transaction(Scope.school(school.id, school.path)) as session:
        return {each.id: each.phone for each in await session.scalars(select(Student))}


async def test_every_changed_field_is_in_the_audit(
    app_context: AppContext, owner: Database, school: SampleSchool
) -> None:
    changed, untouched = school.students
    rows = [
        roster_row(each, phone=OLD, extras={"家庭现地址": "某路1号", "籍贯地行政区划码": "410102"})
        for each in school.students
    ]
    await import_rows(app_context, school, rows)
    earlier = await load_changes(owner, untouched)
    member = Member(position=1, name="张某", relation="父亲", is_guardian=True, phone="13700000000")
    rows[0] = roster_row(
        changed,
        name="学生改名",
        phone=NEW,
        class_name="2024级9班",
        major="数控技术应用",
        entry_month="2024-10",
        student_number=None,
        members=(member,),
        extras={"家庭现地址": "某路2号", "籍贯地行政区划码": "410102"},
    )
    await import_rows(app_context, school, rows)
    assert await load_changes(owner, untouched) == earlier
    before, after = (await load_changes(owner, changed))[-1]
    assert before == {
        "name": changed.name,
        "phone": "138******00",
        "class_name": "2024级1班",
        "major": "机电技术应用",
        "entry_month": "202409",
        "student_number": True,
        "record": ["家庭现地址"],
        "family_members": [1],
    }
    assert after == {
        "name": "学生改名",
        "phone": "139******78",
        "class_name": "2024级9班",
        "major": "数控技术应用",
        "entry_month": "202410",
        "student_number": True,
        "record": ["家庭现地址"],
        "family_members": [1],
    }


async def test_importing_the_same_file_again_records_nothing(
    app_context: AppContext, owner: Database, school: SampleSchool
) -> None:
    student = school.students[0]
    for _ in range(2):
        await import_rows(app_context, school, [roster_row(student, phone=OLD)])
    assert [before for before, _ in await load_changes(owner, student)] == [{"phone": None}]


@pytest.mark.parametrize("status", ["active", "revoked"])
async def test_number_of_a_student_who_ever_bound_a_phone_is_only_proposed(
    app_context: AppContext, owner: Database, school: SampleSchool, status: str
) -> None:
    bound, never_bound = school.students
    await import_rows(app_context, school, [roster_row(each, phone=OLD) for each in school.students])
    await bind_key(owner, bound, status)
    rows = [roster_row(each, phone=NEW, row=2 + number) for number, each in enumerate(school.students)]
    report = await import_rows(app_context, school, rows)
    assert (report.phones_proposed, report.updated) == (1, 2)
    assert [(each.code, each.row, each.column) for each in report.findings] == [
        ("phone_proposed", 2, "联系电话")
    ]
    assert await load_phones(app_context, school) == {bound.id: OLD, never_bound.id: NEW}
    again = await import_rows(app_context, school, rows)
    assert (again.phones_proposed, again.unchanged, again.findings) == (0, 2, ())


async def test_an_empty_cell_keeps_the_number_of_a_bound_student(
    app_context: AppContext, owner: Database, school: SampleSchool
) -> None:
    student = school.students[0]
    await import_rows(app_context, school, [roster_row(student, phone=OLD)])
    await bind_key(owner, student)
    report = await import_rows(app_context, school, [roster_row(student, phone=None)])
    assert [each.code for each in report.findings] == ["phone_kept"]
    assert (await load_phones(app_context, school))[student.id] == OLD
    async with owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        changes = select(PhoneChange).where(PhoneChange.student_id == student.id)
        assert (await session.scalars(changes)).all() == []
