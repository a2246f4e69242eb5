"""Queries for students' view of their own standing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotPermitted
from backend.core.listing.pages import PageRequest
from backend.leave.queries import load_leave_balance
from backend.leave.rules import LeaveBalance
from backend.org.calendar import CalendarYearMissing
from backend.org.errors import TermNotSet
from backend.org.terms import get_term
from backend.people.tables import Student
from backend.standing.engine.facts import Status
from backend.standing.engine.misses import MissCounts
from backend.standing.policy import StandingPolicy
from backend.standing.prompts.queries import PromptRow, PromptSearch, load_prompts_page
from backend.standing.store.load import policy_history
from backend.standing.store.tables import StudentStanding

OPEN_PROMPTS = 20
"""More than can be open at once: at most one of each kind and term."""


@dataclass(frozen=True, slots=True)
class OwnStanding:
    """The status, the counts of the current term with their limits, current warnings, and open prompts.

    `misses` and `leave` are None outside a term; `leave` is also None if the calendar lacks the year.
    """

    status: Status
    law: StandingPolicy
    term_code: str | None
    misses: MissCounts | None
    leave: LeaveBalance | None
    locked: bool
    warnings: Sequence[Mapping[str, Any]]
    prompts: Sequence[PromptRow]


async def load_own_standing(session: AsyncSession, actor: Actor, at: datetime) -> OwnStanding:
    """The caller's standing as last assessed. Without a stored assessment every count is zero."""
    if actor.student_id is None or actor.school_id is None:
        raise NotPermitted(reason_zh="供学生本人查阅", reason_en="only the student can see this")
    student = await session.get_one(Student, actor.student_id)
    stored = await session.get(StudentStanding, actor.student_id)
    assessment = stored.assessment if stored else {}
    try:
        term_code = (await get_term(session, actor.school_id, legal_day(at))).code
    except TermNotSet:
        term_code = None
    open_prompts = PromptSearch(open_only=True)
    return OwnStanding(
        status=Status(student.standing, student.study_form),
        law=policy_history(actor.org_path).on(legal_day(at)),
        term_code=term_code,
        misses=_count_misses(assessment, term_code) if term_code else None,
        leave=await _load_leave_balance(session, actor, at) if term_code else None,
        locked=bool(stored and stored.locked_by),
        warnings=assessment.get("warnings", []),
        prompts=(await load_prompts_page(session, actor, open_prompts, at, PageRequest(OPEN_PROMPTS))).rows,
    )


def _count_misses(assessment: Mapping[str, Any], term_code: str) -> MissCounts:
    for term in assessment.get("terms", []):
        if term["term"] == term_code:
            return MissCounts(**term["misses"])
    return MissCounts(term_code, 0, 0, one_more_miss_prompts=False)


async def _load_leave_balance(session: AsyncSession, actor: Actor, at: datetime) -> LeaveBalance | None:
    assert actor.student_id is not None
    try:
        return await load_leave_balance(session, actor.student_id, at)
    except CalendarYearMissing:
        return None
