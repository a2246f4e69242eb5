"""Asking the rules about students, under the law and calendar of this installation."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.errors import NotFound
from backend.leave.law import policies
from backend.org.calendars import working_calendar
from backend.org.paths import division_of
from backend.people.turns import take_turns
from backend.standing.facts import StudentFacts
from backend.standing.law import Lawbook
from backend.standing.recorded import Subject, facts_of, subjects
from backend.standing.rules import Picture, assess
from backend.standing.trace import canonical, document

_NEVER = "0001-01-01T00:00:00+00:00"


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
    found = await subjects(session, student_ids)
    if not found:
        return []
    turns = await take_turns(session, {key: subject.school_id for key, subject in found.items()}, at)
    again = await subjects(session, list(turns))  # a status may have changed while we waited
    return [Held(again[student_id], turn) for student_id, turn in turns.items()]


async def pictures(session: AsyncSession, asked: Collection[Subject], as_of: datetime) -> dict[UUID, Picture]:
    """What the law says of each at the instant. Writes nothing; raises `AbsentLaw` where there is none."""
    calendar = await working_calendar(session)
    facts = await facts_of(session, asked)
    return {
        subject.student_id: assess(facts[subject.student_id], lawbook(subject.path), calendar, as_of)
        for subject in asked
    }


async def facts_and_picture(session: AsyncSession, held: Held) -> tuple[StudentFacts, Picture]:
    """Of a held student, as of the turn."""
    calendar = await working_calendar(session)
    facts = (await facts_of(session, [held.subject]))[held.subject.student_id]
    return facts, assess(facts, lawbook(held.subject.path), calendar, held.at)


async def pictures_of_held(session: AsyncSession, held: Collection[Held]) -> dict[UUID, Picture]:
    """What the law says of each held student as of the own turn."""
    calendar = await working_calendar(session)
    facts = await facts_of(session, [each.subject for each in held])
    return {
        each.subject.student_id: assess(
            facts[each.subject.student_id], lawbook(each.subject.path), calendar, each.at
        )
        for each in held
    }


def digest(picture: Picture) -> bytes:
    """`digest_of` its document."""
    return digest_of(document(picture))


def digest_of(written: Mapping[str, Any]) -> bytes:
    """SHA-256 of what the document of a picture says, apart from when it was asked and the version of the files it was
    read from: two pictures with the same digest have the same consequences.
    """
    essence = canonical({**written, "as_of": _NEVER, "policy_version": ""})
    return hashlib.sha256(essence.encode()).digest()


def differs(picture: Picture, stored: bytes | None) -> bool:
    """Whether a picture says something else than the stored one, given by its digest; None: nothing is stored."""
    return not says_nothing(picture) if stored is None else stored != digest(picture)


def says_nothing(picture: Picture) -> bool:
    """Whether there is nothing to keep of a student: no prompt, no change, no count, no warning."""
    counted = any(
        term.misses.cumulative or (term.leave is not None and (term.leave.used or term.leave.planned))
        for term in picture.terms
    )
    kept = picture.prompts or picture.ledger or picture.warnings or picture.refused or picture.absence
    return not counted and not kept
