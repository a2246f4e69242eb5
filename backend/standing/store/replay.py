"""Replaying the facts of students and comparing the result with what is stored (invariants 6 and 8, reading 13).

Writes nothing. See `comparison.py` for what counts as a difference.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.org.calendar_years import get_working_calendar
from backend.standing.engine.assess import Assessment, assess
from backend.standing.store import tables
from backend.standing.store.carry import load_facts
from backend.standing.store.comparison import Comparison, Difference, StoredStanding
from backend.standing.store.load import StudentRef, policy_history


@dataclass(frozen=True, slots=True)
class Replay:
    """The assessment at the requested instant, and the differences of the rows stored by then.

    `pending` are ids of prompts and entries that follow from the facts and are not stored yet; they are no difference.
    `other_versions` are older policy versions under which rows were stored. Figures in force never change, so the
    content of these rows is compared all the same.
    """

    student_id: UUID
    assessment: Assessment
    compared_at: datetime | None
    differences: tuple[Difference, ...]
    pending: tuple[str, ...]
    other_versions: tuple[str, ...]


async def replay_students(
    session: AsyncSession, students: Collection[StudentRef], at: datetime
) -> list[Replay]:
    """Replay each student's facts at the instant, in a few statements for any number. Raises `AbsentLaw`."""
    calendar = await get_working_calendar(session)
    facts = await load_facts(session, students)
    stored = await load_stored(session, [student.student_id for student in students])
    return [
        _replay(
            student,
            stored[student.student_id],
            partial(assess, facts[student.student_id], policy_history(student.path), calendar),
            at,
        )
        for student in students
    ]


def _replay(
    student: StudentRef, stored: StoredStanding, assess_at: Callable[[datetime], Assessment], at: datetime
) -> Replay:
    """Compare the rows stored by the instant with the assessment at the instant they were stored."""
    assessment, saved_at = assess_at(at), stored.last_saved_at(at)
    if saved_at is None:
        return Replay(student.student_id, assessment, None, (), _select_pending(assessment, stored), ())
    then = stored.as_of(saved_at)
    is_newest = stored.standing is None or stored.standing.as_of <= at
    comparison = Comparison(then, assess_at(saved_at), stored)
    differences = tuple(comparison.find_differences(student.status if is_newest else None))
    versions = {row.policy_version for row in then.prompts} | {row.policy_version for row in then.entries}
    return Replay(
        student.student_id,
        assessment,
        saved_at,
        differences,
        _select_pending(assessment, stored),
        tuple(sorted(versions - {assessment.policy_version})),
    )


def _select_pending(assessment: Assessment, stored: StoredStanding) -> tuple[str, ...]:
    prompts, entries = {str(row.id) for row in stored.prompts}, {str(row.id) for row in stored.entries}
    known = prompts | entries | stored.listed_ids
    derived = [prompt.prompt_id for prompt in assessment.prompts]
    derived += [entry.entry_id for entry in assessment.ledger]
    return tuple(key for key in derived if key not in known)


# --- loading what is stored ---

ORDER: Mapping[str, tuple[Any, str]] = {
    "prompts": (tables.PromptRecord, "raised_at"),
    "steps": (tables.PromptStep, "seq"),
    "entries": (tables.StandingEntry, "seq"),
    "warnings": (tables.StandingWarningRecord, "at"),
    "releases": (tables.AidReleaseRecord, "at"),
}
"""The list of `StoredStanding` → its table and the column that orders it."""


async def load_stored(session: AsyncSession, student_ids: Collection[UUID]) -> dict[UUID, StoredStanding]:
    """The rows stored about each student, with one statement for each table."""
    stored: dict[UUID, StoredStanding] = defaultdict(StoredStanding)
    for name, (table, order) in ORDER.items():
        rows = await session.scalars(
            select(table).where(table.student_id.in_(student_ids)).order_by(getattr(table, order))
        )
        for row in rows:
            getattr(stored[row.student_id], name).append(row)
    standing = tables.StudentStanding
    for row in await session.scalars(select(standing).where(standing.student_id.in_(student_ids))):
        stored[row.student_id].standing = row
    return stored
