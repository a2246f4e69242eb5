"""Asking the rules about students, under the law and calendar of this installation."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import NotFound
from backend.org.calendars import working_calendar
from backend.org.paths import division_of
from backend.people.student_lock import lock_students
from backend.policy import installed
from backend.standing.engine.assess import Assessment, assess
from backend.standing.engine.batch import AssessmentRecord, BatchAssessor
from backend.standing.engine.facts import StudentFacts
from backend.standing.policy import PolicyHistory
from backend.standing.store.load import StudentRef, load_facts, load_student_refs


@dataclass(frozen=True, slots=True)
class LockedStudent:
    """A student whose turn this transaction holds; `at` is the instant to record under."""

    subject: StudentRef
    at: datetime


def policy_history(path: str) -> PolicyHistory:
    """The law of the school at the path, through time."""
    return PolicyHistory(installed.installed_policy(), division_of(path))


async def lock_and_assess(session: AsyncSession, student_id: UUID, at: datetime) -> LockedStudent:
    """Wait for the student's turn; raises `NotFound` where the scope admits no such student."""
    held = await lock_and_assess_many(session, [student_id], at)
    if not held:
        raise NotFound
    return held[0]


async def lock_and_assess_many(
    session: AsyncSession, student_ids: Collection[UUID], at: datetime
) -> list[LockedStudent]:
    """Wait for the turns of all of them that the scope admits."""
    turns = await lock_students(session, student_ids, at)
    found = await load_student_refs(
        session, list(turns)
    )  # only now: a status may have changed while we waited
    return [LockedStudent(found[student_id], turn) for student_id, turn in turns.items()]


async def judgements(
    session: AsyncSession, asked: Collection[StudentRef], as_of: datetime
) -> dict[UUID, AssessmentRecord]:
    """What the law says of each at the instant. Writes nothing; raises `AbsentLaw` where there is none."""
    bench = BatchAssessor(await working_calendar(session))
    facts = await load_facts(session, asked)
    return {
        subject.student_id: bench.judge(facts[subject.student_id], policy_history(subject.path), as_of)
        for subject in asked
    }


async def assess_now(
    session: AsyncSession, asked: Collection[StudentRef], as_of: datetime
) -> dict[UUID, Assessment]:
    """The pictures alone of `judgements`."""
    judged = await judgements(session, asked, as_of)
    return {student_id: judgement.assessment for student_id, judgement in judged.items()}


async def load_facts_and_assess(
    session: AsyncSession, held: LockedStudent
) -> tuple[StudentFacts, Assessment]:
    """Of a held student, as of the turn."""
    calendar = await working_calendar(session)
    facts = (await load_facts(session, [held.subject]))[held.subject.student_id]
    return facts, assess(facts, policy_history(held.subject.path), calendar, held.at)


async def judgements_of_held(
    session: AsyncSession, held: Collection[LockedStudent]
) -> dict[UUID, AssessmentRecord]:
    """What the law says of each held student as of the own turn."""
    bench = BatchAssessor(await working_calendar(session))
    facts = await load_facts(session, [each.subject for each in held])
    return {
        each.subject.student_id: bench.judge(
            facts[each.subject.student_id], policy_history(each.subject.path), each.at
        )
        for each in held
    }


def digest(assessment: Assessment) -> bytes:
    """Of what it says; see `AssessmentRecord`."""
    return AssessmentRecord.of(assessment).digest


def differs(judgement: AssessmentRecord, stored: bytes | None) -> bool:
    """Whether it says something else than the stored picture, given by its digest; None: nothing is stored."""
    return not says_nothing(judgement.assessment) if stored is None else stored != judgement.digest


def says_nothing(assessment: Assessment) -> bool:
    """Whether there is nothing to keep of a student: no prompt, no change, no count, no warning."""
    counted = any(
        term.misses.cumulative or (term.leave is not None and (term.leave.used or term.leave.planned))
        for term in assessment.terms
    )
    kept = (
        assessment.prompts
        or assessment.ledger
        or assessment.warnings
        or assessment.refused
        or assessment.absence
    )
    return not counted and not kept
