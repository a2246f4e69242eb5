"""Imports a roster by set-based SQL in one transaction per school and file. The same file again changes nothing.

Study form and standing are legal states. A new student gets the study form of the file and the standing 在读; after
that both change only by a decided standing change (HN334-4.1), never by a file. The phone number of a student who has
bound a phone is only proposed (`phones.py`). Every changed field is in the audit (`changes.py`).
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
from backend.exchange.roster.changes import audit_changed_students
from backend.exchange.roster.errors import StudentNumbersTaken
from backend.exchange.roster.events import RosterImported
from backend.exchange.roster.issues import (
    ENROLMENT_REFUSED,
    ON_ANOTHER_ROLL,
    PHONE_KEPT,
    PHONE_PROPOSED,
    PHONE_REFUSED,
    STUDY_FORM_KEPT,
    STUDY_FORM_LOCKED,
    RowIssue,
    Severity,
)
from backend.exchange.roster.phones import FINDINGS as PHONE_FINDINGS
from backend.exchange.roster.phones import propose_phones
from backend.exchange.roster.quarantine import FINDINGS as QUARANTINE_FINDINGS
from backend.exchange.roster.quarantine import quarantine_rows
from backend.exchange.roster.registration import (
    CATEGORY_COLUMN,
    count_not_registered,
    review_staged_rows,
    store_staged_registrations,
)
from backend.exchange.roster.registration import DEFECTS as REGISTRATION_DEFECTS
from backend.exchange.roster.registration import FINDINGS as REGISTRATION_FINDINGS
from backend.exchange.roster.rows import RosterRow
from backend.exchange.roster.staging import STUDENT_COLUMNS, UPDATED_COLUMNS, copy_to_staging
from backend.exchange.roster.template import load_template
from backend.org.tables import OrgUnit
from backend.people.identifiers import Defect
from backend.people.queries import student_number_context
from backend.people.tables import ENROLLED_CONDITION, SchoolClass, Student
from backend.registration.rules import Refusal
from backend.standing.transfers.records import open_records_of_newcomers

ENROLLED = "01"
"""The standing 在读 of a new student."""

MAX_LISTED = 200
"""Findings of each kind listed in the report; all are counted."""

_PHONE_DEFECTS = {"proposed": PHONE_PROPOSED, "kept": PHONE_KEPT, "refused": PHONE_REFUSED}
_QUARANTINE_DEFECTS = {"quarantined": ON_ANOTHER_ROLL, "refused": ENROLMENT_REFUSED}


@dataclass(frozen=True, slots=True)
class RosterImport:
    """What to import: the school, its valid rows (iterated once), and the SHA-256 of their file."""

    school: OrgUnit
    rows: Iterable[RosterRow]
    sha256: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import. Each row is created, updated, unchanged, quarantined, refused or not registered.

    `flagged`: rows with another study form than the roll, which was not changed. `quarantined`: rows whose ID number is
    on another school's roll and waits for a decision. `refused`: such rows that a person refused before. `not_registered`: new students who may not be registered now. `transferred`: new students
    whom another school transferred out. `phones_proposed`: numbers that wait for the student or the superior. `not_in_file`: students of the school without a row; they were not changed.
    """

    created: int
    updated: int
    unchanged: int
    flagged: int
    quarantined: int
    refused: int
    not_registered: int
    transferred: int
    phones_proposed: int
    not_in_file: int
    classes_created: int
    findings: tuple[RowIssue, ...]

    @property
    def rows(self) -> int:
        """The number of rows in the file."""
        enrolled = self.created + self.updated + self.unchanged
        return enrolled + self.quarantined + self.refused + self.not_registered

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-compatible values."""
        return {"rows": self.rows, **asdict(self)}


async def import_roster(
    session: AsyncSession, actor: Actor, command: RosterImport, keys: KeyRing, at: datetime
) -> ImportReport:
    """Import a roster as the registrar of its school; raises `NotPermitted`, and `NotFound` for other schools."""
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="花名册由学校管理员导入", reason_en="only the school's registrar may import a roster"
        )
    if actor.school_id != command.school.id:
        raise NotFound
    return await import_roster_as_system(session, command, keys, at)


async def import_roster_as_system(
    session: AsyncSession, command: RosterImport, keys: KeyRing, at: datetime
) -> ImportReport:
    """Import a roster without an acting account; the caller is responsible for authorisation.

    Requires the school's scope. Imports of one school are serialised; the unique index on school and ID number
    prevents duplicate students. Raises `StudentNumbersTaken`.
    """
    school = command.school
    of_school = {"school": school.id, "at": at}
    await session.execute(_LOCK_SCHOOL, {"school": str(school.id)})
    await session.execute(_DISABLE_NESTED_LOOPS)
    await copy_to_staging(session, command.rows, keys)
    await session.execute(_COMPARE, of_school)
    await _reject_taken_numbers(session, of_school)
    reviewed = await review_staged_rows(session, school, at)
    classes = await _create_classes(session, school, at)
    phones_proposed = await propose_phones(session, school, at)
    await audit_changed_students(session, school.path, command.sha256, at)
    await _update_student_numbers(session, keys, of_school)
    created = await _count(session, _INSERT_STUDENTS, {**of_school, "standing": ENROLLED})
    quarantined = await quarantine_rows(session, school, command.sha256, at)
    updated = await _count(session, _UPDATE_STUDENTS, of_school)
    await session.execute(_DELETE_GUARDIANS)
    await session.execute(_INSERT_GUARDIANS, of_school)
    await session.execute(_REVOKE_GUARDIAN_LINKS, of_school)
    newcomers = (await session.scalars(_NEWCOMERS, of_school)).all()
    transferred = await open_records_of_newcomers(session, school, newcomers, at)
    await store_staged_registrations(session, school, reviewed, at)
    unchanged = await session.scalar(_UNCHANGED) or 0
    not_in_file = await session.scalar(_NOT_IN_FILE, of_school) or 0
    unlocked, unlocked_findings = await _query_findings(
        session, _FLAGGED, of_school | {"locked": False}, "study_form", STUDY_FORM_KEPT
    )
    locked, locked_findings = await _query_findings(
        session, _FLAGGED, of_school | {"locked": True}, "study_form", STUDY_FORM_LOCKED
    )
    findings = [*locked_findings, *unlocked_findings, *await _query_other_findings(session)]
    not_registered = await count_not_registered(session)
    await session.execute(_DROP_STAGING)
    await session.execute(_ENABLE_NESTED_LOOPS)
    report = ImportReport(
        created=created,
        updated=updated,
        unchanged=unchanged,
        flagged=unlocked + locked,
        quarantined=quarantined.waiting,
        refused=quarantined.refused,
        not_registered=not_registered,
        transferred=transferred,
        phones_proposed=phones_proposed,
        not_in_file=not_in_file,
        classes_created=classes,
        findings=tuple(findings),
    )
    await _audit_import(session, command, report, at)
    return report


async def _count(session: AsyncSession, statement: TextClause, parameters: dict[str, Any]) -> int:
    """The count returned by a writing statement."""
    return await session.scalar(statement, parameters) or 0


async def _reject_taken_numbers(session: AsyncSession, of_school: dict[str, Any]) -> None:
    taken = (await session.execute(_TAKEN_NUMBERS, of_school)).all()
    if taken:
        places = "、".join(f"{sheet}!{row}" for sheet, row in taken)
        raise StudentNumbersTaken(places=places)


async def _update_student_numbers(session: AsyncSession, keys: KeyRing, of_school: dict[str, Any]) -> None:
    """Write changed student numbers, encrypted again: the staged ones are bound to ids that were not used."""
    changed = (await session.execute(_CHANGED_NUMBERS, of_school)).all()

    def numbers() -> list[dict[str, Any]]:
        return [
            {
                "id": student_id,
                "student_number_sealed": sealed and _reencrypt(sealed, keys, staged_for, student_id),
                "student_number_index": index,
            }
            for student_id, staged_for, sealed, index in changed
        ]

    if changed:
        await session.execute(update(Student), await asyncio.to_thread(numbers))


def _reencrypt(sealed: bytes, keys: KeyRing, staged_for: UUID, student_id: UUID) -> bytes:
    number = keys.decrypt("identifier", sealed, student_number_context(staged_for))
    return keys.encrypt("identifier", number, student_number_context(student_id))


async def _create_classes(session: AsyncSession, school: OrgUnit, at: datetime) -> int:
    """Create the classes that the school lacks. Name, grade and major are the most frequent values of their rows."""
    known = set(await session.scalars(select(SchoolClass.name_key).where(SchoolClass.school_id == school.id)))
    new = [
        {
            "id": new_id(),
            "school_id": school.id,
            "name": name,
            "name_key": key,
            "grade": grade,
            "major": major,
            "created_at": at,
        }
        for key, name, grade, major in await session.execute(_CLASSES)
        if key not in known
    ]
    if new:
        await session.execute(insert(SchoolClass), new)
    return len(new)


async def _query_findings(
    session: AsyncSession, statement: TextClause, of_school: dict[str, Any], field: str, defect: Defect
) -> tuple[int, list[RowIssue]]:
    """Run a query for findings; returns their number and a warning for each listed one."""
    template = load_template()
    header = next(column.name for column in template.columns if field in {column.field, column.name})
    rows = (await session.execute(statement, {**of_school, "listed": MAX_LISTED})).all()
    spellings = {value: texts[0] for value, texts in template.values.get(field, {}).items()}
    listed = [
        RowIssue(
            sheet,
            row,
            header,
            "",
            spellings.get(cell, cell),
            defect.code,
            Severity.WARNING,
            defect.zh,
            defect.en,
        )
        for sheet, row, cell, _ in rows
    ]
    return (rows[0][3] if rows else 0), listed


async def _query_other_findings(session: AsyncSession) -> list[RowIssue]:
    """Findings about numbers of bound students, and about rows that were not enrolled."""
    findings: list[RowIssue] = []
    for finding, defect in _PHONE_DEFECTS.items():
        _, listed = await _query_findings(session, PHONE_FINDINGS, {"finding": finding}, "phone", defect)
        findings += listed
    for action, defect in _QUARANTINE_DEFECTS.items():
        parameters = {"action": action}
        _, listed = await _query_findings(session, QUARANTINE_FINDINGS, parameters, "document_number", defect)
        findings += listed
    for refusal, defect in REGISTRATION_DEFECTS.items():
        column = CATEGORY_COLUMN if refusal is Refusal.CATEGORY else "entry_month"
        parameters = {"refusal": refusal.value}
        _, listed = await _query_findings(session, REGISTRATION_FINDINGS, parameters, column, defect)
        findings += listed
    return findings


async def _audit_import(
    session: AsyncSession, command: RosterImport, report: ImportReport, at: datetime
) -> None:
    school = command.school
    counts = report.as_dict()
    del counts["findings"]
    details = {**counts, "file_sha256": command.sha256}
    audit.record(
        session, audit.Act("roster.import", "school", str(school.id), school.path, after=details), at
    )
    await outbox.emit(session, RosterImported(school_id=school.id, **details), at)


_LOCK_SCHOOL = text("SELECT pg_advisory_xact_lock(hashtextextended('roster:' || :school, 0))")

_DISABLE_NESTED_LOOPS = text("SET LOCAL enable_nestloop = off")
"""The planner has no statistics for a new school: it expects one student and would scan all rows in a nested loop for
each of twenty thousand. Every join here joins whole sets."""

_COMPARE = text(
    """
    UPDATE roster_staging s
    SET student_id = t.id, stored_study_form = t.study_form,
        action = CASE WHEN t.row_digest = s.digest THEN 'unchanged' ELSE 'updated' END
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
    SELECT class_key, mode() WITHIN GROUP (ORDER BY class_name), mode() WITHIN GROUP (ORDER BY grade),
      mode() WITHIN GROUP (ORDER BY major)
    FROM roster_staging WHERE action IS DISTINCT FROM 'not_registered' GROUP BY class_key ORDER BY class_key
    """
)

_ALL_COLUMNS = ", ".join(STUDENT_COLUMNS)
_ALL_STAGED = ", ".join(f"s.{name}" for name in STUDENT_COLUMNS)
_ASSIGNMENTS = ", ".join(f"{name} = s.{name}" for name in UPDATED_COLUMNS)

_INSERT_STUDENTS = text(
    f"""
    WITH created AS (
      INSERT INTO student (id, school_id, class_id, name_key, {_ALL_COLUMNS}, id_number_sealed, id_number_index,
        student_number_sealed, student_number_index, standing, record, row_digest, created_at, updated_at)
      SELECT s.new_id, :school, c.id, s.name_key, {_ALL_STAGED}, s.id_number_sealed, s.id_number_index,
        s.student_number_sealed, s.student_number_index, :standing, s.record, s.digest, :at, :at
      FROM roster_staging s JOIN school_class c ON c.school_id = :school AND c.name_key = s.class_key
      WHERE s.action IS NULL
      ON CONFLICT (id_number_index) WHERE {ENROLLED_CONDITION} DO NOTHING
      RETURNING 1)
    SELECT count(*) FROM created
    """  # noqa: S608 - the names are those of our own declaration
)
"""A student on another school's roll is not inserted; `quarantine_rows` finds these rows."""

_UPDATE_STUDENTS = text(
    f"""
    WITH updated AS (
      UPDATE student t
      SET class_id = c.id, name_key = s.name_key, {_ASSIGNMENTS}, record = s.record, row_digest = s.digest, updated_at = :at
      FROM roster_staging s JOIN school_class c ON c.school_id = :school AND c.name_key = s.class_key
      WHERE t.id = s.student_id AND t.school_id = :school AND s.action = 'updated'
      RETURNING 1)
    SELECT count(*) FROM updated
    """  # noqa: S608 - the names are those of our own declaration
)
"""Neither `study_form` nor `standing`. `_update_student_numbers` has written the student number before."""

_CHANGED_NUMBERS = text(
    """
    SELECT t.id, s.new_id, s.student_number_sealed, s.student_number_index
    FROM roster_staging s JOIN student t ON t.id = s.student_id
    WHERE t.school_id = :school AND t.student_number_index IS DISTINCT FROM s.student_number_index
    """
)

_DELETE_GUARDIANS = text(
    """
    DELETE FROM guardian g USING roster_staging s WHERE g.student_id = s.student_id AND s.action = 'updated'
    AND NOT EXISTS (
      SELECT FROM jsonb_to_recordset(s.members)
        AS m(position integer, name text, relation text, is_guardian boolean, phone text)
      WHERE (m.position, m.name, m.relation, m.is_guardian, m.phone)
        IS NOT DISTINCT FROM (g.position, g.name, g.relation, g.is_guardian, g.phone))
    """
)
"""A member who did not change keeps the row and its id, which links to guardians refer to."""

_INSERT_GUARDIANS = text(
    """
    INSERT INTO guardian (id, school_id, student_id, position, name, relation, is_guardian, phone)
    SELECT m.id, :school, coalesce(s.student_id, s.new_id), m.position, m.name, m.relation, m.is_guardian, m.phone
    FROM roster_staging s CROSS JOIN LATERAL jsonb_to_recordset(s.members)
      AS m(id uuid, position integer, name text, relation text, is_guardian boolean, phone text)
    WHERE s.action IS NULL OR s.action = 'updated'
    ON CONFLICT (student_id, position) DO NOTHING
    """
)

_REVOKE_GUARDIAN_LINKS = text(
    """
    UPDATE guardian_link l SET revoked_at = :at, revoked_because = 'left_roster'
    FROM roster_staging s WHERE l.student_id = s.student_id AND s.action = 'updated' AND l.school_id = :school
    AND l.revoked_at IS NULL AND NOT EXISTS (SELECT FROM guardian g WHERE g.id = l.guardian_id)
    """
)

_NEWCOMERS = text(
    "SELECT s.new_id FROM roster_staging s JOIN student t ON t.id = s.new_id WHERE t.school_id = :school ORDER BY 1"
)

_UNCHANGED = text("SELECT count(*) FROM roster_staging WHERE action = 'unchanged'")

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
"""Locked records are reported separately: after a change caused by a verification, only the province unlocks them
(HN334-4.1c)."""

_DROP_STAGING = text("DROP TABLE roster_staging")
_ENABLE_NESTED_LOOPS = text("SET LOCAL enable_nestloop = on")
