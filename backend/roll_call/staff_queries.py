"""What staff see of roll calls: the list, what happened to them, and overdue registration checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.core.actor import Actor
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts, by_name
from backend.org.queries import is_in_subtree
from backend.org.tables import OrgUnit
from backend.roll_call import rules
from backend.roll_call.access import select_counselor_classes
from backend.roll_call.tables import RollCall, RollCallClass, RollCallStep


def _is_visible(actor: Actor, at: datetime) -> ColumnElement[bool]:
    """Announced, or launched by the caller's unit or below it. Row-level security hides the rest."""
    launched_below = func.starts_with(RollCall.launcher_path + ".", actor.org_path + ".")
    return or_(RollCall.notify_at <= at, launched_below)


@dataclass(frozen=True, slots=True)
class RollCallSearch:
    """Filters of the list; None does not filter. `text` is part of the title, `launcher_id` the launching unit."""

    text: str | None = None
    kind: str | None = None
    launcher_id: UUID | None = None


RollCallSort = Literal["opens_at", "-opens_at", "title", "-title"]
ROLL_CALL_SORTS = ListSorts(
    RollCall.id, {"opens_at": RollCall.opens_at, "title": by_name(RollCall.title)}, default="-opens_at"
)


async def load_roll_calls_page(
    session: AsyncSession, actor: Actor, search: RollCallSearch, at: datetime, request: PageRequest
) -> ListPage[RollCall]:
    """A page of the roll calls that the caller may see."""
    statement = select(RollCall).where(_is_visible(actor, at))
    if search.text is not None:
        statement = statement.where(RollCall.title.contains(search.text, autoescape=True))
    if search.kind is not None:
        statement = statement.where(RollCall.kind == search.kind)
    if search.launcher_id is not None:
        statement = statement.where(RollCall.launcher_id == search.launcher_id)
    counselor_classes = select_counselor_classes(actor)
    if counselor_classes is not None:
        has_own_class = exists().where(
            RollCallClass.term_code == RollCall.term_code,
            RollCallClass.roll_call_id == RollCall.id,
            RollCallClass.school_id == actor.school_id,
            RollCallClass.class_id.in_(counselor_classes),
        )
        statement = statement.where(has_own_class)
    found = await load_page(session, statement, ROLL_CALL_SORTS, request)
    return found.with_rows([roll_call for (roll_call,) in found.rows])


async def load_steps(
    session: AsyncSession, roll_call_ids: Sequence[UUID]
) -> dict[UUID, dict[str, RollCallStep]]:
    """The steps that each roll call has taken, by name."""
    rows = await session.scalars(select(RollCallStep).where(RollCallStep.roll_call_id.in_(roll_call_ids)))
    steps: dict[UUID, dict[str, RollCallStep]] = {each: {} for each in roll_call_ids}
    for row in rows:
        steps[row.roll_call_id][row.step] = row
    return steps


def roll_call_phase(roll_call: RollCall, steps: dict[str, RollCallStep], at: datetime) -> rules.Phase:
    """The phase of a roll call: scheduled, announced, open, closing, settled or voided."""
    if "voided" in steps:
        return "voided"
    if "settled" in steps:
        return "settled"
    if at < roll_call.notify_at:
        return "scheduled"
    match rules.classify_timing(at, roll_call.opens_at, roll_call.deadline):
        case rules.Timing.EARLY:
            return "announced"
        case rules.Timing.IN_TIME:
            return "open"
    return "closing"


async def load_schools_without_registration_check(
    session: AsyncSession, path: str, term_code: str, minimum: int
) -> Sequence[OrgUnit]:
    """Schools below `path` with fewer settled registration checks in the term than the law requires (HN334-4.1a)."""
    voided = aliased(RollCallStep)
    settled_checks = (
        select(RollCall.launcher_id, func.count().label("checks"))
        .join(RollCallStep, and_(RollCallStep.roll_call_id == RollCall.id, RollCallStep.step == "settled"))
        .where(
            RollCall.kind == "registration",
            RollCall.term_code == term_code,
            ~exists().where(voided.roll_call_id == RollCall.id, voided.step == "voided"),
        )
        .group_by(RollCall.launcher_id)
        .subquery()
    )
    rows = await session.scalars(
        select(OrgUnit)
        .outerjoin(settled_checks, settled_checks.c.launcher_id == OrgUnit.id)
        .where(
            OrgUnit.kind == "school",
            is_in_subtree(path),
            func.coalesce(settled_checks.c.checks, 0) < minimum,
        )
        .order_by(OrgUnit.code)
    )
    return rows.all()
