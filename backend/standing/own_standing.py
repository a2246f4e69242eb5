"""What a student may know of the own standing at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.acting import Acting
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.leave.queries import tally_of
from backend.leave.rules import LeaveTally
from backend.org.calendar import CalendarYearMissing
from backend.org.errors import TermNotSet
from backend.org.terms import term_of
from backend.people.tables import Student
from backend.standing.assessment import lawbook
from backend.standing.facts import Status
from backend.standing.law import StandingLaw
from backend.standing.prompt_queries import PromptRow, PromptSearch, prompts_page
from backend.standing.sequence import MissTally
from backend.standing.tables import StudentStanding

OPEN_PROMPTS = 20
"""More than can be open at once: one of each kind in each term."""


@dataclass(frozen=True, slots=True)
class OwnStanding:
    """Status, the counts of the running term with their limits, warnings that hold, and open prompts.

    `misses` and `leave` are None outside a term, `leave` also where the calendar lacks the year.
    """

    status: Status
    law: StandingLaw
    term_code: str | None
    misses: MissTally | None
    leave: LeaveTally | None
    locked: bool
    warnings: Sequence[Mapping[str, Any]]
    prompts: Sequence[PromptRow]


async def own_standing(session: AsyncSession, acting: Acting, at: datetime) -> OwnStanding:
    """The acting student's, as it was last assessed; of whom nothing was ever said, every count is zero."""
    if acting.student_id is None or acting.school_id is None:
        raise NotPermitted(reason_zh="供学生本人查阅", reason_en="this is for the student in person")
    student = await session.get_one(Student, acting.student_id)
    kept = await session.get(StudentStanding, acting.student_id)
    picture = kept.picture if kept else {}
    try:
        term_code = (await term_of(session, acting.school_id, legal_day(at))).code
    except TermNotSet:
        term_code = None
    open_prompts = PromptSearch(open_only=True)
    return OwnStanding(
        status=Status(student.standing, student.study_form),
        law=lawbook(acting.org_path).on(legal_day(at)),
        term_code=term_code,
        misses=_misses(picture, term_code) if term_code else None,
        leave=await _leave(session, acting, at) if term_code else None,
        locked=bool(kept and kept.locked_by),
        warnings=picture.get("warnings", []),
        prompts=await prompts_page(session, acting, open_prompts, at, None, OPEN_PROMPTS),
    )


def _misses(picture: Mapping[str, Any], term_code: str) -> MissTally:
    for term in picture.get("terms", []):
        if term["term"] == term_code:
            return MissTally(**term["misses"])
    return MissTally(term_code, 0, 0, one_more_miss_prompts=False)


async def _leave(session: AsyncSession, acting: Acting, at: datetime) -> LeaveTally | None:
    assert acting.student_id is not None
    try:
        return await tally_of(session, acting.student_id, at)
    except CalendarYearMissing:
        return None
