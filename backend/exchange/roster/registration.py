"""Registration of a roster's new students: rows that may not be registered are left out, the others are recorded.

A row whose ID number is on another school's roll, or was transferred out by one, is not reviewed: its student was
registered there, and the quarantine or the transfer decides.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.match_keys import match_key
from backend.exchange.roster.template import load_template
from backend.org.tables import OrgUnit
from backend.people.identifiers import Defect
from backend.registration.new_students import (
    EnrolledStudent,
    Registration,
    review_new_students,
    store_registrations,
)
from backend.registration.rules import Basis, NewStudent, Refusal

NOT_REGISTERED = "not_registered"
"""The action of a staged row that may not be registered."""

CATEGORY_COLUMN = "招生对象"

DEFECTS: Mapping[Refusal, Defect] = MappingProxyType(
    {
        Refusal.CLOSED: Defect(
            "registration_closed",
            "该入学年月的新生学籍注册已截止，未建立学籍。以前已注册、现补录入本系统的学生，请上级教育部门开通补录后重新导入。",
            "Registration of this entry month is closed, so the student was not enrolled. For a student who was registered"
            " before, ask the superior for a permission to add earlier students, and import the row again.",
        ),
        Refusal.AHEAD: Defect(
            "season_not_open",
            "入学年月晚于当前招生季，未建立学籍。请核对入学年月，或到该招生季再导入。",
            "The entry month is later than the present season, so the student was not enrolled. Check the month, or import"
            " the row in its season.",
        ),
        Refusal.CATEGORY: Defect(
            "category_not_registrable",
            "按规定，该招生对象不得以此学习形式注册，未建立学籍。请核对招生对象和学习形式。",
            "Students of this category may not be registered in this study form, so the student was not enrolled. Check"
            " 招生对象 and 学习形式.",
        ),
        Refusal.SUSPENDED: Defect(
            "registration_suspended",
            "主管部门已暂停本校新生学籍注册，未建立学籍。请按年检整改要求办理，恢复后重新导入。",
            "An authority has suspended this school's registration of new students, so the student was not enrolled. Mend"
            " what the inspection found, and import the row again once the suspension is lifted.",
        ),
        Refusal.STOPPED: Defect(
            "intake_stopped",
            "主管部门已停止本校招生，未建立学籍。请联系主管部门，为学生办理转入其他学校。",
            "An authority has stopped this school's intake, so the student was not enrolled. Ask the authority where the"
            " students can go.",
        ),
        Refusal.UNLICENSED: Defect(
            "school_unlicensed",
            "本地规定具备办学资质方可招生，系统中没有本校现行有效的资质，未建立学籍。请主管部门登记资质后重新导入。",
            "Local law requires a qualification for intake, and none in force is on file for this school, so the student was"
            " not enrolled. Ask the superior to enter it, and import the row again.",
        ),
        Refusal.NOT_INSPECTED: Defect(
            "school_not_inspected",
            "本地规定当年年检合格方可招生，本校尚未通过当年年检，未建立学籍。请在年检合格后重新导入。",
            "Local law requires this year's passed inspection for intake, so the student was not enrolled. Import the row"
            " again once the school has passed.",
        ),
    }
)


async def review_staged_rows(
    session: AsyncSession, school: OrgUnit, at: datetime
) -> dict[NewStudent, Registration]:
    """Decide on every kind of new student among the staged rows, and mark those that may not be registered."""
    rows = (await session.execute(_KINDS)).all()
    registrations = await review_new_students(session, school, map(_new_student, rows), at)
    for row in rows:
        refusal = registrations[_new_student(row)].decision.refusal
        if refusal is not None:
            marks = {"action": NOT_REGISTERED, "refusal": refusal.value}
            kind = {column: getattr(row, column) for column in _KIND}
            await session.execute(_MARK, kind | marks)
    return registrations


async def store_staged_registrations(
    session: AsyncSession, school: OrgUnit, reviewed: Mapping[NewStudent, Registration], at: datetime
) -> None:
    """Record the registration of the rows that were enrolled. Call it after the insert and after the transfers."""
    enrolled = [
        EnrolledStudent(row.new_id, reviewed[_new_student(row)], Basis.TRANSFER if row.is_transfer else None)
        for row in await session.execute(_ENROLLED, {"school": school.id})
    ]
    await store_registrations(session, school.id, enrolled, at)


async def count_not_registered(session: AsyncSession) -> int:
    """The number of rows that may not be registered."""
    return await session.scalar(_COUNT) or 0


def _new_student(row: Row[Any]) -> NewStudent:
    spellings = load_template().spellings("category")
    category = spellings.get(match_key(row.category)) if row.category else None
    return NewStudent(row.programme, row.study_form, category, row.entry_month)


_KIND = ("programme", "study_form", "entry_month", "category")
_KIND_COLUMNS = f"s.programme, s.study_form, s.entry_month, s.record ->> '{CATEGORY_COLUMN}' AS category"

_KINDS = text(
    f"SELECT DISTINCT {_KIND_COLUMNS} FROM roster_staging s WHERE s.action IS NULL"  # noqa: S608 - own columns
)

_MARK = text(
    f"""
    UPDATE roster_staging s SET action = :action, refusal = :refusal
    WHERE s.action IS NULL AND s.programme = :programme AND s.study_form = :study_form
      AND s.entry_month = :entry_month AND (s.record ->> '{CATEGORY_COLUMN}') IS NOT DISTINCT FROM CAST(:category AS text)
      AND NOT EXISTS (SELECT FROM definer.find_enrolled_student(s.id_number_index))
      AND NOT EXISTS (SELECT FROM definer.find_transferred_student(s.id_number_index))
    """  # noqa: S608 - own columns
)

_ENROLLED = text(
    f"""
    SELECT s.new_id, t.student_id IS NOT NULL AS is_transfer, {_KIND_COLUMNS}
    FROM roster_staging s JOIN student e ON e.id = s.new_id
      LEFT JOIN student_transfer t ON t.student_id = s.new_id
    WHERE e.school_id = :school AND s.student_id IS NULL
    """  # noqa: S608 - own columns
)

_COUNT = text(f"SELECT count(*) FROM roster_staging WHERE action = '{NOT_REGISTERED}'")  # noqa: S608 - a constant

FINDINGS = text(
    """
    SELECT s.sheet, s."row", s.entry_month AS cell, count(*) OVER () FROM roster_staging s
    WHERE s.refusal = :refusal ORDER BY 1, 2 LIMIT :listed
    """
)
"""The rows that may not be registered, by reason."""
