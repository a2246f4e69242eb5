"""Rows whose ID number is on another school's roll: they are quarantined and never become a second student (MOE19-2.4).

The unique index `uq_student_enrolled` decides: the import inserts each new student unless it would violate the index,
also if another school's import commits at the same moment. What it did not insert is quarantined.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.tenancy import scope_of
from backend.exchange.roster.staging import STUDENT_COLUMNS
from backend.org.tables import OrgUnit
from backend.people.events import EnrolmentsQuarantined


@dataclass(frozen=True, slots=True)
class QuarantinedRows:
    """How many rows are quarantined now or were before, and how many a person had decided already."""

    waiting: int
    refused: int


async def quarantine_rows(
    session: AsyncSession, school: OrgUnit, sha256: str, at: datetime
) -> QuarantinedRows:
    """Quarantine the staged rows that were not inserted, and release earlier ones that were. Call it after the insert."""
    of_school = {"school": school.id, "at": at, "account": scope_of(session).account_id}
    await session.execute(_RELEASE, of_school)
    await session.execute(_MARK, of_school)
    new = (await session.execute(_QUARANTINE, of_school | {"sha256": sha256})).all()
    by_holder: dict[Any, list[Any]] = {}
    for row in new:
        by_holder.setdefault((row.holder_school_id, row.holder_path), []).append(row.id)
    for (holder_id, holder_path), ids in by_holder.items():
        event = EnrolmentsQuarantined(
            school_id=school.id,
            path=school.path,
            holder_school_id=holder_id,
            holder_path=holder_path,
            first_id=ids[0],
            rows=len(ids),
        )
        await outbox.emit(session, event, at)
    acts = [
        audit.Act(
            "enrolment.quarantined", "quarantined_enrolment", str(row.id), school.path, after={"file": sha256}
        )
        for row in new
    ]
    await audit.record_all(session, ((act, at) for act in acts))
    waiting, refused = (await session.execute(_COUNT)).one()
    return QuarantinedRows(waiting, refused)


_RELEASE = text(
    """
    UPDATE quarantined_enrolment q
    SET state = 'released', decided_at = :at, decided_by = :account, row_data = '{}',
      id_number_sealed = NULL, student_number_sealed = NULL, student_number_index = NULL
    FROM roster_staging s JOIN student t ON t.id = s.new_id
    WHERE q.school_id = :school AND q.state = 'open' AND q.id_number_index = s.id_number_index
    """
)
"""The other school's record ended before anyone decided, so this import enrolled the person."""

_MARK = text(
    """
    UPDATE roster_staging s
    SET action = CASE WHEN EXISTS (
        SELECT FROM quarantined_enrolment q
        WHERE q.school_id = :school AND q.id_number_index = s.id_number_index AND q.digest = s.digest
          AND q.state IN ('different_person', 'error'))
      THEN 'refused' ELSE 'quarantined' END
    WHERE s.action IS NULL AND NOT EXISTS (SELECT FROM student t WHERE t.id = s.new_id)
    """
)
"""A row that a person refused before is not quarantined again, unless its content has changed."""

_ROW_DATA = ", ".join(f"'{name}', s.{name}" for name in STUDENT_COLUMNS)

_QUARANTINE = text(
    f"""
    WITH held AS MATERIALIZED (
      SELECT s.new_id, h.school_id, h.student_id, h.school_path
      FROM roster_staging s CROSS JOIN LATERAL definer.find_enrolled_student(s.id_number_index) h
      WHERE s.action = 'quarantined'),
    added AS (
      INSERT INTO quarantined_enrolment (id, school_id, holder_school_id, holder_student_id, id_number_index,
        masked_number, id_number_sealed, student_number_sealed, student_number_index, row_data, digest, file_sha256,
        imported_by, imported_at, state)
      SELECT s.new_id, :school, h.school_id, h.student_id, s.id_number_index, s.masked_number, s.id_number_sealed,
        s.student_number_sealed, s.student_number_index,
        jsonb_build_object({_ROW_DATA}, 'class_name', s.class_name, 'record', s.record, 'members', s.members),
        s.digest, :sha256, :account, :at, 'open'
      FROM roster_staging s JOIN held h ON h.new_id = s.new_id
      ON CONFLICT (school_id, id_number_index) WHERE state = 'open' DO NOTHING
      RETURNING id, holder_school_id)
    SELECT a.id, a.holder_school_id, h.school_path AS holder_path FROM added a JOIN held h ON h.new_id = a.id ORDER BY a.id
    """  # noqa: S608 - the names are those of our own declaration
)

_COUNT = text(
    "SELECT count(*) FILTER (WHERE action = 'quarantined'), count(*) FILTER (WHERE action = 'refused')"
    " FROM roster_staging"
)

FINDINGS = text(
    """
    SELECT s.sheet, s."row", s.masked_number AS cell, count(*) OVER () FROM roster_staging s
    WHERE s.action = :action ORDER BY 1, 2 LIMIT :listed
    """
)
"""The rows that were not enrolled, by action."""
