"""Asking the rules about students, under the law and calendar of this installation."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import NotFound
from backend.leave.law import policies
from backend.org.calendars import working_calendar
from backend.org.paths import division_of
from backend.people.turns import take_turns
from backend.standing.alike import Bench, Judgement
from backend.standing.facts import StudentFacts
from backend.standing.law import Lawbook
from backend.standing.recorded import Subject, facts_of, subjects
from backend.standing.rules import Picture, assess


@dataclass(frozen=True, slots=True)
class Held:
    """A student whose turn this transaction holds; `at` is the instant to record under."""

    subject: Subject
    at: datetime


def lawbook(path: str) -> Lawbook:
    """The law of the school at the path, through time."""
    return Lawbook(policies(), division_of(path))


async def hold(session: AsyncSession, student_id: UUID, at: datetime) -> Held:
    """Wait for the student's turn; raises `NotFound` where the scope admits no such student."""
    held = await hold_many(session, [student_id], at)
    if not held:
        raise NotFound
    return held[0]


async def hold_many(session: AsyncSession, student_ids: Collection[UUID], at: datetime) -> list[Held]:
    """Wait for the turns of all of them that the scope admits."""
    turns = await take_turns(session, student_ids, at)
    found = await subjects(session, list(turns))  # only now: a status may have changed while we waited
    return [Held(found[student_id], turn) for student_id, turn in turns.items()]


async def judgements(
    session: AsyncSession, asked: Collection[Subject], as_of: datetime
) -> dict[UUID, Judgement]:
    """What the law says of each at the instant. Writes nothing; raises `AbsentLaw` where there is none."""
    bench = Bench(await working_calendar(session))
    facts = await facts_of(session, asked)
    return {
        subject.student_id: bench.judge(facts[subject.student_id], lawbook(subject.path), as_of)
        for subject in asked
    }


async def pictures(session: AsyncSession, asked: Collection[Subject], as_of: datetime) -> dict[UUID, Picture]:
    """The pictures alone of `judgements`."""
    judged = await judgements(session, asked, as_of)
    return {student_id: judgement.picture for student_id, judgement in judged.items()}


async def facts_and_picture(session: AsyncSession, held: Held) -> tuple[StudentFacts, Picture]:
    """Of a held student, as of the turn."""
    calendar = await working_calendar(session)
    facts = (await facts_of(session, [held.subject]))[held.subject.student_id]
    return facts, assess(facts, lawbook(held.subject.path), calendar, held.at)


async def judgements_of_held(session: AsyncSession, held: Collection[Held]) -> dict[UUID, Judgement]:
    """What the law says of each held student as of the own turn."""
    bench = Bench(await working_calendar(session))
    facts = await facts_of(session, [each.subject for each in held])
    return {
        each.subject.student_id: bench.judge(
            facts[each.subject.student_id], lawbook(each.subject.path), each.at
        )
        for each in held
    }


def digest(picture: Picture) -> bytes:
    """Of what it says; see `Judgement`."""
    return Judgement.of(picture).digest


def differs(judgement: Judgement, stored: bytes | None) -> bool:
    """Whether it says something else than the stored picture, given by its digest; None: nothing is stored."""
    return not says_nothing(judgement.picture) if stored is None else stored != judgement.digest


def says_nothing(picture: Picture) -> bool:
    """Whether there is nothing to keep of a student: no prompt, no change, no count, no warning."""
    counted = any(
        term.misses.cumulative or (term.leave is not None and (term.leave.used or term.leave.planned))
        for term in picture.terms
    )
    kept = picture.prompts or picture.ledger or picture.warnings or picture.refused or picture.absence
    return not counted and not kept
