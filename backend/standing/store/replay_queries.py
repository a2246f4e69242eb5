"""Differences that the nightly replay found between the stored standing and the facts, and what people found about them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.people.tables import Student
from backend.standing.store.errors import DifferenceReviewed
from backend.standing.store.tables import ReplayDifference, ReplayDifferenceReview

DifferenceState = Literal["open", "reviewed"]


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """A difference with its review, if a person has looked at it."""

    difference: ReplayDifference
    review: ReplayDifferenceReview | None

    @property
    def state(self) -> DifferenceState:
        return "open" if self.review is None else "reviewed"


@dataclass(frozen=True, slots=True)
class DifferenceSearch:
    """Filters of the list; None does not filter. `unit_id`: the own unit or one below it."""

    state: DifferenceState | None = None
    unit_id: UUID | None = None


DifferenceSort = Literal["found_at", "-found_at", "name", "-name"]
DIFFERENCE_SORTS = ListSorts(
    ReplayDifference.id,
    {"found_at": ReplayDifference.id, "name": by_name(Student.name)},
    default="-found_at",
)
"""An id begins with the time."""


@dataclass(frozen=True, slots=True)
class ReviewDifference:
    """Command: what a person found about a difference."""

    difference_id: UUID
    note: str


async def load_differences_page(
    session: AsyncSession, actor: Actor, search: DifferenceSearch, request: PageRequest
) -> ListPage[DifferenceView]:
    """A page of the differences of the actor's schools. Raises `NotFound` for a unit of others, `NotPermitted`."""
    _require_reader(actor)
    schools = await load_school_scope(session, actor, search.unit_id)
    page = _select().where(is_of_schools(ReplayDifference.school_id, schools))
    if search.state is not None:
        is_open = ReplayDifferenceReview.difference_id.is_(None)
        page = page.where(is_open if search.state == "open" else ~is_open)
    found = await load_page(session, page, DIFFERENCE_SORTS, request)
    return found.with_rows([DifferenceView(*row) for row in found.rows])


async def review_difference(
    session: AsyncSession, actor: Actor, command: ReviewDifference, at: datetime
) -> DifferenceView:
    """Record, once, what a person found. Raises `NotPermitted`, `NotFound`, `DifferenceReviewed`."""
    _require_reader(actor)
    found = await session.get(ReplayDifference, command.difference_id)
    if found is None:
        raise NotFound
    row = {
        "difference_id": found.id,
        "school_id": found.school_id,
        "reviewed_by": actor.account_id,
        "note": command.note,
        "at": at,
    }
    statement = insert(ReplayDifferenceReview).values(row).on_conflict_do_nothing()
    if await session.scalar(statement.returning(ReplayDifferenceReview.difference_id)) is None:
        raise DifferenceReviewed
    school = await session.get_one(OrgUnit, found.school_id)
    act = audit.Act(
        "standing.difference_reviewed",
        "replay_difference",
        str(found.id),
        school.path,
        after={"note": command.note},
    )
    audit.record(session, act, at)
    return DifferenceView(found, await session.get_one(ReplayDifferenceReview, found.id))


def _require_reader(actor: Actor) -> None:
    if actor.role not in {"registrar", "bureau", "province"}:
        raise NotPermitted(
            reason_zh="推算差异由学校管理员和教育行政部门查看",
            reason_en="registrars and authorities read the differences of the replay",
        )


def _select() -> Select[ReplayDifference, ReplayDifferenceReview]:
    return (
        select(ReplayDifference, ReplayDifferenceReview)
        .join(Student, Student.id == ReplayDifference.student_id)
        .outerjoin(ReplayDifferenceReview, ReplayDifferenceReview.difference_id == ReplayDifference.id)
    )
