"""Saving assessments: the only place that writes what follows from a student's facts.

Nothing is decided here. New prompts, ledger entries, aid releases and warnings are stored, the status on the roll is
updated, and each is audited and published as an event. Ids are derived from content, so saving the same assessment
twice changes nothing (invariant 8).
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit, outbox
from backend.core.bulk_insert import RawJson, insert_rows
from backend.core.database import equals_any
from backend.core.event import Event
from backend.core.ids import new_id
from backend.org.tables import OrgUnit
from backend.people.categories import TRANSFERRED_OUT
from backend.people.tables import StudentTransfer
from backend.standing.engine.assess import Assessment
from backend.standing.engine.batch import AssessmentRecord
from backend.standing.engine.trace import encode_canonical
from backend.standing.events import EarlierRecordChanged, ReplayDifferenceFound, StudentWarned
from backend.standing.store import tables
from backend.standing.store.lock import (
    LockedAssessments,
    LockedStudent,
    assess_locked,
    assess_locked_student,
    has_changed,
    lock_for_assessment,
    lock_students,
)
from backend.standing.store.save_ledger import load_entry_ids, save_entries, save_releases, save_status
from backend.standing.store.save_prompts import load_steps_in_effect, save_prompts

# --- assessing and saving ---


async def recompute(session: AsyncSession, student_id: UUID, at: datetime) -> Assessment:
    """Lock the student, assess all facts, and save the result. Safe to run any number of times."""
    locked = await lock_for_assessment(session, student_id, at)
    return await recompute_locked(session, locked)


async def recompute_many(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> int:
    """Recompute the students in one transaction and save those whose assessment changed. Returns their number.

    The number of statements does not grow with the number of students. All of them stay locked until the commit, so
    call it with no more than may wait for it.
    """
    locked = await lock_students(session, student_ids, at)
    records = await assess_locked(session, locked)
    stored = await _load_stored(session, [student.subject.student_id for student in locked])
    changed: list[tuple[LockedStudent, AssessmentRecord]] = []
    for student in locked:
        student_id = student.subject.student_id
        record, known = records[student_id], stored.get(student_id)
        rescheduled = known is not None and known.next_at != next_instant(record.assessment)
        if rescheduled or has_changed(record, known.digest if known else None):
            changed.append((student, record))
    await save_assessments(session, changed, stored.keys())
    return len(changed)


async def recompute_locked(session: AsyncSession, student: LockedStudent) -> Assessment:
    """Assess all facts of a locked student and save the result."""
    await session.flush()
    _, assessment = await assess_locked_student(session, student)
    await save_assessment(session, student, assessment)
    return assessment


async def save_assessment(session: AsyncSession, student: LockedStudent, assessment: Assessment) -> None:
    """Store what is new in the assessment. If it contradicts the stored record, only note the difference."""
    stored = await _load_stored(session, [student.subject.student_id])
    await save_assessments(session, [(student, AssessmentRecord.of(assessment))], stored.keys())


async def save_assessments(
    session: AsyncSession, assessed: LockedAssessments, known: Collection[UUID]
) -> None:
    """`save_assessment` for many locked students; students in `known` already have a stored assessment."""
    if not assessed:
        return
    ids = [student.subject.student_id for student, _ in assessed]
    entries = await load_entry_ids(session, ids)
    steps = await load_steps_in_effect(session, ids)
    consistent: list[tuple[LockedStudent, AssessmentRecord]] = []
    for student, record in assessed:
        student_id = student.subject.student_id
        prompts = {str(prompt_id) for prompt_id in steps[student_id]}
        contradictions = find_contradictions(record.assessment, entries[student_id], prompts)
        if contradictions:
            await note_difference(session, student, contradictions, "assessment")
        else:
            consistent.append((student, record))
    events = await save_prompts(session, consistent, steps)
    for student, record in consistent:
        await save_entries(session, student, record.assessment, entries[student.subject.student_id])
        await save_status(session, student, record.assessment)
    await save_releases(session, consistent)
    events += await _save_warnings(session, consistent)
    await _save_read_model(session, consistent, known)
    events += await _list_successors(session, consistent)
    await outbox.emit_all(session, events)


async def _list_successors(
    session: AsyncSession, assessed: LockedAssessments
) -> list[tuple[Event, datetime]]:
    """An event for each student who was transferred to another school, where these facts count on (reading 23)."""
    instants = {
        student.subject.student_id: student.at
        for student, record in assessed
        if record.assessment.status.standing == TRANSFERRED_OUT
    }
    if not instants:
        return []
    rows = await session.execute(
        select(StudentTransfer, OrgUnit.path)
        .join(OrgUnit, OrgUnit.id == StudentTransfer.school_id)
        .where(equals_any(StudentTransfer.holder_student_id, instants))
    )
    return [
        (
            EarlierRecordChanged(school_id=row.school_id, student_id=row.student_id, path=path),
            instants[row.holder_student_id],
        )
        for row, path in rows
    ]


# --- contradictions ---


def find_contradictions(
    assessment: Assessment, stored_entries: set[str], stored_prompts: set[str]
) -> list[dict[str, Any]]:
    """Stored prompts and entries that no longer follow from the facts, or entries that follow in another order."""
    derived = [entry.entry_id for entry in assessment.ledger]
    known = {prompt.prompt_id for prompt in assessment.prompts}
    differences = [
        {"kind": "entry_without_basis", "id": entry} for entry in sorted(stored_entries - set(derived))
    ]
    differences += [
        {"kind": "prompt_without_basis", "id": prompt} for prompt in sorted(stored_prompts - known)
    ]
    first = derived[: len(stored_entries)]
    if not differences and set(first) != stored_entries:
        differences = [
            {"kind": "entry_before_those_stored", "id": entry}
            for entry in first
            if entry not in stored_entries
        ]
    return differences


async def note_difference(
    session: AsyncSession, student: LockedStudent, differences: Sequence[dict[str, Any]], found_by: str
) -> None:
    """Record that the facts give another result than the stored one. The same difference is recorded once."""
    row = {
        "id": new_id(),
        **student.keys,
        "found_by": found_by,
        "digest": hashlib.sha256(encode_canonical(list(differences)).encode()).digest(),
        "differences": list(differences),
        "found_at": student.at,
    }
    statement = insert(tables.ReplayDifference).values(row).on_conflict_do_nothing()
    noted = await session.scalar(statement.returning(tables.ReplayDifference.id))
    if noted is None:
        return
    act = audit.Act(
        "standing.difference",
        "replay_difference",
        str(noted),
        student.subject.path,
        after={"found": list(differences)},
    )
    audit.record(session, act, student.at)
    event = ReplayDifferenceFound(**student.event_fields, difference_id=noted)
    await outbox.emit(session, event, student.at)


# --- warnings ---


async def _save_warnings(session: AsyncSession, assessed: LockedAssessments) -> list[tuple[Event, datetime]]:
    """Insert new warnings. Returns the event of each."""
    warnings = {
        UUID(warning.warning_id): (student, warning)
        for student, record in assessed
        for warning in record.assessment.warnings
    }
    rows = [
        {
            "id": warning_id,
            **student.keys,
            "code": warning.code,
            "term_code": warning.term,
            "facts": list(warning.facts),
            "proposed": warning.proposed,
            "at": student.at,
        }
        for warning_id, (student, warning) in warnings.items()
    ]
    new = await insert_rows(
        session, tables.StandingWarningRecord, rows, on_conflict="ON CONFLICT DO NOTHING", returning=("id",)
    )
    events: list[tuple[Event, datetime]] = []
    for (warning_id,) in new:
        student, _ = warnings[warning_id]
        events.append((StudentWarned(**student.event_fields, warning_id=warning_id), student.at))
    return events


# --- the read model `student_standing` ---


@dataclass(frozen=True, slots=True)
class _StoredAssessment:
    """The digest of a stored assessment, and the next instant at which time alone changes it."""

    digest: bytes
    next_at: datetime | None


async def _load_stored(session: AsyncSession, ids: Collection[UUID]) -> Mapping[UUID, _StoredAssessment]:
    standing = tables.StudentStanding
    rows = await session.execute(
        select(standing.student_id, standing.digest, standing.next_at).where(
            equals_any(standing.student_id, ids)
        )
    )
    return {row.student_id: _StoredAssessment(row.digest, row.next_at) for row in rows}


_REPLACE_STORED = "ON CONFLICT (student_id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}"
    for name in ("as_of", "policy_version", "digest", "locked_by", "assessment", "next_at")
)


async def _save_read_model(
    session: AsyncSession, assessed: LockedAssessments, known: Collection[UUID]
) -> None:
    """Write the read model. A student whose assessment has always been empty gets no row."""
    rows = []
    for student, record in assessed:
        assessment = record.assessment
        if student.subject.student_id not in known and assessment.is_empty:
            continue
        locked_by = assessment.lock.locked_by
        rows.append(
            {
                **student.keys,
                "as_of": student.at,
                "policy_version": assessment.policy_version,
                "digest": record.digest,
                "locked_by": UUID(locked_by) if locked_by else None,
                "assessment": RawJson(record.canonical_json),
                "next_at": next_instant(assessment),
            }
        )
    await insert_rows(session, tables.StudentStanding, rows, on_conflict=_REPLACE_STORED)


def next_instant(assessment: Assessment) -> datetime | None:
    """The next instant at which time alone changes the assessment: a deadline, or the limit of an absence."""
    instants = [prompt.deadline.at for prompt in assessment.open_prompts if prompt.deadline]
    if assessment.absence is not None:
        instants.append(assessment.absence.prompt_at)
    return min((at for at in instants if at is not None and at > assessment.as_of), default=None)
