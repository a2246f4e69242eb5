"""What a guardian reads beyond the student's own views: the student, whom to call, and the misses of the term."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound
from backend.core.listing.pages import PageRequest
from backend.core.pagination import MAX_PAGE
from backend.org.errors import TermNotSet
from backend.org.tables import OrgUnit
from backend.org.terms import get_term
from backend.people.own_counselor import OwnCounselor, load_own_counselor
from backend.people.tables import SchoolClass, Student
from backend.roll_call.rules import REHEARSAL, Outcome
from backend.roll_call.student_queries import StudentRollCall, load_student_roll_calls
from backend.standing.claims.queries import ClaimSearch, ClaimState, load_claims_page
from backend.standing.student_view.counting import MissCounting, judge_miss, load_positions


@dataclass(frozen=True, slots=True)
class GuardedStudent:
    """The student with school, class and counselor."""

    name: str
    school_name: str
    class_name: str
    counselor: OwnCounselor | None


@dataclass(frozen=True, slots=True)
class Miss:
    """A missed roll call of the term. `counting` is None if it is not assessed yet, `claim` if none was filed."""

    view: StudentRollCall
    counting: MissCounting | None
    claim: ClaimState | None


async def load_guarded_student(session: AsyncSession, actor: Actor) -> GuardedStudent:
    """The student in whose scope the guardian reads. Raises `NotFound`."""
    student = await session.get(Student, actor.student_id)
    if student is None:
        raise NotFound
    return GuardedStudent(
        name=student.name,
        school_name=(await session.get_one(OrgUnit, student.school_id)).name,
        class_name=(await session.get_one(SchoolClass, student.class_id)).name,
        counselor=await load_own_counselor(session),
    )


async def load_misses(session: AsyncSession, actor: Actor, at: datetime) -> Sequence[Miss]:
    """The student's missed roll calls of the current term, newest first; none outside a term, none of rehearsals."""
    assert actor.student_id is not None
    assert actor.school_id is not None
    try:
        term = await get_term(session, actor.school_id, legal_day(at))
    except TermNotSet:
        return ()
    views = await load_student_roll_calls(session, actor.student_id, at, None, MAX_PAGE)
    missed = [view for view in views if view.roll_call.term_code == term.code and _is_miss(view)]
    positions = await load_positions(session, [actor.student_id])
    claims = await load_claims_page(session, actor, ClaimSearch(), PageRequest(MAX_PAGE))
    newest_last = reversed(claims.rows)
    states = {view.claim.roll_call_id: view.state for view in newest_last}
    return [
        Miss(
            view,
            judge_miss(
                positions,
                actor.student_id,
                view.roll_call.id,
                view.roll_call.kind,
                Outcome.MISSED,
                voided=view.voided,
            ),
            states.get(view.roll_call.id),
        )
        for view in missed
    ]


def _is_miss(view: StudentRollCall) -> bool:
    is_missed = view.outcome is not None and view.outcome.outcome == Outcome.MISSED
    return is_missed and view.roll_call.kind != REHEARSAL
