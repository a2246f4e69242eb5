"""Entering a roster: one transaction per school and file, set-based, and the same file twice changes nothing.

Study form and standing are legal states. A student comes onto the roll with the form that the file states and
with the standing 在读; from then on both change by a decided standing change (HN334-4.1), never by a file.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.keys import KeyRing
from backend.exchange.roster.errors import StudentNumbersTaken
from backend.exchange.roster.issues import (
    ON_ANOTHER_ROLL,
    STUDY_FORM_KEPT,
    STUDY_FORM_LOCKED,
    RowIssue,
    Severity,
)
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.staging import copy_to_staging
from backend.exchange.roster.template import load_template
from backend.org.tables import OrgUnit
from backend.people.identifiers import Defect
from backend.people.queries import student_number_context
from backend.people.tables import SchoolClass, Student

ENROLLED = "01"
"""The standing 在读, in which a student comes onto the roll."""

LISTED = 200
"""Findings of each kind that the report lists; all are counted."""


@dataclass(frozen=True, slots=True)
class RosterImport:
    """What to enter: the school, its checked rows (read once), and the SHA-256 of the file they came from."""

    school: OrgUnit
    rows: Iterable[RosterRow]
    sha256: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the rows: each is created, updated or unchanged.

    `flagged` rows state another study form than the roll, which was kept. `elsewhere` rows are people whose ID
    number stands on another school's roll too. `not_in_file` students of the school were left as they are.
    """

    created: int
    updated: int
    unchanged: int
    flagged: int
    elsewhere: int
    not_in_file: int
    classes_created: int
    findings: tuple[RowIssue, ...]

    @property
    def rows(self) -> int:
        """The rows that were entered."""
        return self.created + self.updated + self.unchanged

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return {"rows": self.rows, **asdict(self)}


async def import_roster(
    session: AsyncSession, actor: Actor, command: RosterImport, keys: KeyRing, at: datetime
) -> ImportReport:
    """Enter a roster for the registrar of its school; anyone else's school answers `NotFound`."""
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="花名册由学校管理员导入", reason_en="a roster is imported by the school's registrar"
        )
    if actor.school_id != command.school.id:
        raise NotFound
    return await enter_roster(session, command, keys, at)


async def enter_roster(
    session: AsyncSession, command: RosterImport, keys: KeyRing, at: datetime
) -> ImportReport:
    """Enter a roster on nobody's account: the operator of the deployment answers for who may call this.

    The session's scope is the school's. Imports of one school wait for each other; what makes a student one is the
    unique index on school and ID number. Raises `StudentNumbersTaken`.
    """
    school = command.school
    of_school = {"school": school.id, "at": at}
    await session.execute(_ONE_AT_A_TIME, {"school": str(school.id)})
    await session.execute(_JOIN_SETS)
    await copy_to_staging(session, command.rows, keys)
    await session.execute(_COMPARE, of_school)
    await _refuse_taken_numbers(session, of_school)
    classes = await _create_classes(session, school, at)
    await _renumber(session, keys, of_school)
    created = await _count(session, _CREATE, {**of_school, "standing": ENROLLED})
    updated = await _count(session, _UPDATE, of_school)
    await session.execute(_DROP_GUARDIANS)
    await session.execute(_ADD_GUARDIANS, of_school)
    unchanged = await session.scalar(_UNCHANGED) or 0
    not_in_file = await session.scalar(_NOT_IN_FILE, of_school) or 0
    free, kept = await _findings(
        session, _FLAGGED, of_school | {"locked": False}, "study_form", STUDY_FORM_KEPT
    )
    locked, closed = await _findings(
        session, _FLAGGED, of_school | {"locked": True}, "study_form", STUDY_FORM_LOCKED
    )
    elsewhere, found = await _findings(session, _ELSEWHERE, of_school, "document_number", ON_ANOTHER_ROLL)
    await session.execute(_DONE)
    await session.execute(_JOIN_FREELY)
    report = ImportReport(
        created, updated, unchanged, free + locked, elsewhere, not_in_file, classes, (*closed, *kept, *found)
    )
    await _leave_trace(session, command, report, at)
    return report


async def _count(session: AsyncSession, statement: TextClause, parameters: dict[str, Any]) -> int:
    """How many rows a writing statement returned."""
    return await session.scalar(statement, parameters) or 0


async def _refuse_taken_numbers(session: AsyncSession, of_school: dict[str, Any]) -> None:
    taken = (await session.execute(_TAKEN_NUMBERS, of_school)).all()
    if taken:
        places = "、".join(f"{sheet}!{row}" for sheet, row in taken)
        raise StudentNumbersTaken(places=places)


async def _renumber(session: AsyncSession, keys: KeyRing, of_school: dict[str, Any]) -> None:
    """Write the student numbers that changed; the staged ones are bound to ids that were not needed."""
    changed = (await session.execute(_RENUMBERED, of_school)).all()

    def numbers() -> list[dict[str, Any]]:
        return [
            {
                "id": student_id,
                "student_number_sealed": sealed and _rebound(sealed, keys, staged_for, student_id),
                "student_number_index": index,
            }
            for student_id, staged_for, sealed, index in changed
        ]

    if changed:
        await session.execute(update(Student), await asyncio.to_thread(numbers))


def _rebound(sealed: bytes, keys: KeyRing, staged_for: UUID, student_id: UUID) -> bytes:
    number = keys.decrypt("identifier", sealed, student_number_context(staged_for))
    return keys.encrypt("identifier", number, student_number_context(student_id))


async def _create_classes(session: AsyncSession, school: OrgUnit, at: datetime) -> int:
    """The classes of the file that the school has not yet; grade and major are what most of its rows say."""
    known = set(await session.scalars(select(SchoolClass.name).where(SchoolClass.school_id == school.id)))
    new = [
        {
            "id": new_id(),
            "school_id": school.id,
            "name": name,
            "grade": grade,
            "major": major,
            "created_at": at,
        }
        for name, grade, major in await session.execute(_CLASSES)
        if name not in known
    ]
    if new:
        await session.execute(insert(SchoolClass), new)
    return len(new)


async def _findings(
    session: AsyncSession, statement: TextClause, of_school: dict[str, Any], field: str, defect: Defect
) -> tuple[int, list[RowIssue]]:
    """How many rows a query finds, and a warning for each of the first."""
    template = load_template()
    header = next(column.name for column in template.columns if column.field == field)
    rows = (await session.execute(statement, {**of_school, "listed": LISTED})).all()
    spelt = {value: texts[0] for value, texts in template.values.get(field, {}).items()}
    listed = [
        RowIssue(
            sheet, row, header, "", spelt.get(cell, cell), defect.code, Severity.WARNING, defect.zh, defect.en
        )
        for sheet, row, cell, _ in rows
    ]
    return (rows[0][3] if rows else 0), listed


async def _leave_trace(
    session: AsyncSession, command: RosterImport, report: ImportReport, at: datetime
) -> None:
    school = command.school
    counts = report.as_dict()
    del counts["findings"]
    facts = {**counts, "file_sha256": command.sha256}
    audit.record(session, audit.Act("roster.import", "school", str(school.id), school.path, after=facts), at)
    await outbox.emit(session, "RosterImported", {"school_id": str(school.id), **facts}, at)


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('roster:' || :school, 0))")

_JOIN_SETS = text("SET LOCAL enable_nestloop = off")
"""Of a school new to the roll the planner's statistics know nothing; it expects one student and loops over all rows
for each of twenty thousand. Every join here is one of whole sets."""

_COMPARE = text(
    """
    UPDATE roster_staging s
    SET student_id = t.id, stored_study_form = t.study_form,
        fate = CASE WHEN t.row_digest = s.digest THEN 'unchanged' ELSE 'updated' END
    FROM student t WHERE t.school_id = :school AND t.id_number_index = s.id_number_index
    """
)

_TAKEN_NUMBERS = text(
    """
    SELECT s.sheet, s."row" FROM roster_staging s JOIN student t
      ON t.student_number_index = s.student_number_index
    WHERE t.school_id = :school AND t.id_number_index <> s.id_number_index ORDER BY 1, 2 LIMIT 20
    """
)

_CLASSES = text(
    """
    SELECT class_name, mode() WITHIN GROUP (ORDER BY grade), mode() WITHIN GROUP (ORDER BY major)
    FROM roster_staging GROUP BY class_name ORDER BY class_name
    """
)

_CREATE = text(
    """
    WITH created AS (
      INSERT INTO student (id, school_id, class_id, name, sex, birth_date, document_kind, id_number_sealed,
        id_number_index, student_number_sealed, student_number_index, programme, study_form, standing, entry_month,
        major, phone, record, row_digest, created_at, updated_at)
      SELECT s.new_id, :school, c.id, s.name, s.sex, s.birth_date, s.document_kind, s.id_number_sealed,
        s.id_number_index, s.student_number_sealed, s.student_number_index, s.programme, s.study_form, :standing,
        s.entry_month, s.major, s.phone, s.record, s.digest, :at, :at
      FROM roster_staging s JOIN school_class c ON c.school_id = :school AND c.name = s.class_name
      WHERE s.fate IS NULL
      RETURNING 1)
    SELECT count(*) FROM created
    """
)

_UPDATE = text(
    """
    WITH updated AS (
      UPDATE student t
      SET class_id = c.id, name = s.name, sex = s.sex, birth_date = s.birth_date, document_kind = s.document_kind,
        programme = s.programme, entry_month = s.entry_month, major = s.major, phone = s.phone,
        record = s.record, row_digest = s.digest, updated_at = :at
      FROM roster_staging s JOIN school_class c ON c.school_id = :school AND c.name = s.class_name
      WHERE t.id = s.student_id AND t.school_id = :school AND s.fate = 'updated'
      RETURNING 1)
    SELECT count(*) FROM updated
    """
)
"""Neither `study_form` nor `standing`; the student number is sealed anew by `_renumber` before."""

_RENUMBERED = text(
    """
    SELECT t.id, s.new_id, s.student_number_sealed, s.student_number_index
    FROM roster_staging s JOIN student t ON t.id = s.student_id
    WHERE t.school_id = :school AND t.student_number_index IS DISTINCT FROM s.student_number_index
    """
)

_DROP_GUARDIANS = text(
    "DELETE FROM guardian g USING roster_staging s WHERE g.student_id = s.student_id AND s.fate = 'updated'"
)

_ADD_GUARDIANS = text(
    """
    INSERT INTO guardian (id, school_id, student_id, position, name, relation, is_guardian, phone)
    SELECT m.id, :school, coalesce(s.student_id, s.new_id), m.position, m.name, m.relation, m.is_guardian, m.phone
    FROM roster_staging s CROSS JOIN LATERAL jsonb_to_recordset(s.guardians)
      AS m(id uuid, position integer, name text, relation text, is_guardian boolean, phone text)
    WHERE s.fate IS DISTINCT FROM 'unchanged'
    """
)

_UNCHANGED = text("SELECT count(*) FROM roster_staging WHERE fate = 'unchanged'")

_NOT_IN_FILE = text(
    """
    SELECT count(*) FROM student t WHERE t.school_id = :school
    AND NOT EXISTS (SELECT FROM roster_staging s WHERE s.id_number_index = t.id_number_index)
    """
)

_FLAGGED = text(
    """
    SELECT s.sheet, s."row", s.study_form, count(*) OVER () FROM roster_staging s
    LEFT JOIN student_standing t ON t.student_id = s.student_id
    WHERE s.study_form <> s.stored_study_form AND (t.locked_by IS NOT NULL) = :locked
    ORDER BY 1, 2 LIMIT :listed
    """
)
"""A locked record says so: after a change that a verification caused, only the province opens it (HN334-4.1c)."""

_ELSEWHERE = text(
    """
    SELECT s.sheet, s."row", s.masked_number, count(*) OVER () FROM roster_staging s
    WHERE EXISTS (SELECT FROM definer.students_with(s.id_number_index) d WHERE d.school_id <> :school)
    ORDER BY 1, 2 LIMIT :listed
    """
)

_DONE = text("DROP TABLE roster_staging")
_JOIN_FREELY = text("SET LOCAL enable_nestloop = on")
