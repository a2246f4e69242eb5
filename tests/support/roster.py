"""Roster rows of students who are on the roll already, and their import."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.exchange.roster.importer import ImportReport, RosterImport, import_roster
from backend.exchange.roster.rows import RosterRow
from backend.org.tables import OrgUnit
from backend.people.categories import DocumentKind, Programme, Sex, StudyForm
from tests.support.province import SampleSchool, SampleStudent, registrar_account

ONLY_CLASS = "2024级1班"


def roster_row(student: SampleStudent, **changes: Any) -> RosterRow:
    """The row of a student of the sample province as it stands on the roll, with changes."""
    number = student.id_number
    values: dict[str, Any] = {
        "sheet": "学生信息",
        "row": 2,
        "name": student.name,
        "sex": Sex.MALE if int(number[16]) % 2 else Sex.FEMALE,
        "birth_date": date.fromisoformat(number[6:14]),
        "document_kind": DocumentKind.RESIDENT_ID,
        "document_number": number,
        "student_number": student.student_number,
        "class_name": ONLY_CLASS,
        "programme": Programme.REGULAR,
        "study_form": StudyForm.FULL_TIME,
        "attendance": None,
        "entry_month": "2024-09",
        "major": "机电技术应用",
        "length_years": None,
        "phone": None,
        "members": (),
        "extras": {},
    }
    return RosterRow(**(values | changes))


async def import_rows(
    app_context: AppContext, school: SampleSchool, rows: Sequence[RosterRow], at: datetime | None = None
) -> ImportReport:
    """Import rows as the school's registrar."""
    actor = registrar_account(school)
    async with app_context.database.transaction(actor.scope) as session:
        unit = await session.get_one(OrgUnit, school.id)
        command = RosterImport(unit, rows, "00" * 32)
        return await import_roster(session, actor, command, app_context.keys, at or now())
