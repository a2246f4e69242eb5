"""Queries on change requests: one with its steps, and pages by state, school or the unit to give an opinion."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.core.listing.pages import ListPage, PageRequest, load_page
from backend.core.listing.sorts import ListSorts
from backend.org.paths import division_of
from backend.org.queries import is_of_schools, load_school_scope
from backend.org.tables import OrgUnit
from backend.policy.installed import policy_at
from backend.standing.change_requests.policy import (
    ChangeKind,
    Level,
    RequestState,
    change_kinds,
    request_state,
)
from backend.standing.store.tables import ChangeRequest, ChangeRequestStep, PromptRecord, PromptStep

CHANGE_REQUEST = "change_request"
"""The subject noun of audit entries and attachments."""


@dataclass(frozen=True, slots=True)
class ChangeRequestView:
    """A request with the opinions given so far, in order."""

    request: ChangeRequest
    steps: tuple[ChangeRequestStep, ...]

    @property
    def chain(self) -> tuple[Level, ...]:
        """The units that must agree, lowest first, as fixed when the request was filed."""
        return tuple(Level(each["level"], UUID(each["org_id"])) for each in self.request.chain)

    @property
    def state(self) -> RequestState:
        return request_state(len(self.request.chain), [step.outcome for step in self.steps])

    @property
    def current(self) -> Level | None:
        """The level that gives the next opinion; None once the request is closed."""
        return self.chain[len(self.steps)] if self.state is RequestState.OPEN else None


@dataclass(frozen=True, slots=True)
class ChangeRequestSearch:
    """Filters of the list; None means no filter. `waiting`: only requests that wait for the caller's unit."""

    state: RequestState | None = None
    waiting: bool = False
    school_id: UUID | None = None
    student_id: UUID | None = None
    unit_id: UUID | None = None


RequestSort = Literal["filed_at", "-filed_at"]
REQUEST_SORTS = ListSorts(ChangeRequest.id, {"filed_at": ChangeRequest.id}, default="-filed_at")
"""An id begins with the time."""


async def load_change_kinds(session: AsyncSession, actor: Actor, at: datetime) -> list[ChangeKind]:
    """The kinds of change at the caller's place, by the policy of the day, in the order of their codes."""
    unit = await session.get_one(OrgUnit, actor.org_id)
    kinds = change_kinds(policy_at(legal_day(at), division_of(unit.path)))
    return [kinds[code] for code in sorted(kinds)]


async def load_change_request(session: AsyncSession, actor: Actor, request_id: UUID) -> ChangeRequestView:
    """One request of the tenant scope; raises `NotFound`."""
    _require_reviewing_role(actor)
    request = await session.get(ChangeRequest, request_id)
    if request is None:
        raise NotFound
    return (await _load_views(session, [request]))[0]


async def load_requests(
    session: AsyncSession, actor: Actor, ids: Collection[UUID]
) -> Sequence[ChangeRequestView]:
    """The requests of the tenant scope among the ids, in no order."""
    _require_reviewing_role(actor)
    rows = await session.scalars(select(ChangeRequest).where(ChangeRequest.id.in_(ids)))
    return await _load_views(session, rows.all())


async def find_open_request(session: AsyncSession, student_id: UUID) -> ChangeRequestView | None:
    """The student's open request. Call it with the student locked."""
    rows = await session.scalars(
        select(ChangeRequest).where(ChangeRequest.student_id == student_id, _is_in_state(RequestState.OPEN))
    )
    views = await _load_views(session, rows.all())
    return views[0] if views else None


async def load_requests_page(
    session: AsyncSession, actor: Actor, search: ChangeRequestSearch, request: PageRequest
) -> ListPage[ChangeRequestView]:
    """A page of the requests of the tenant scope. Raises `NotFound` for a unit of others."""
    _require_reviewing_role(actor)
    schools = await load_school_scope(session, actor, search.unit_id)
    page = select(ChangeRequest).where(is_of_schools(ChangeRequest.school_id, schools))
    if search.state is not None:
        page = page.where(_is_in_state(search.state))
    if search.waiting:
        page = page.where(_waits_for_unit_of(actor))
    if search.school_id is not None:
        page = page.where(ChangeRequest.school_id == search.school_id)
    if search.student_id is not None:
        page = page.where(ChangeRequest.student_id == search.student_id)
    found = await load_page(session, page, REQUEST_SORTS, request)
    return found.with_rows(await _load_views(session, [row for (row,) in found.rows]))


async def load_open_prompt_ids(session: AsyncSession, student_id: UUID) -> list[UUID]:
    """The student's open prompts. A change that ends the obligation to be present withdraws them."""
    ended = exists().where(PromptStep.prompt_id == PromptRecord.id, PromptStep.closed_at.is_not(None))
    rows = await session.scalars(
        select(PromptRecord.id)
        .where(PromptRecord.student_id == student_id, ~ended)
        .order_by(PromptRecord.raised_at, PromptRecord.id)
    )
    return list(rows)


def _require_reviewing_role(actor: Actor) -> None:
    """Only units that file or decide see reasons and opinions. Counselors see the result in the ledger."""
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="异动申请由学校学籍管理员和上级教育部门办理",
            reason_en="only registrars and authorities handle change requests",
        )


async def _load_views(session: AsyncSession, requests: Sequence[ChangeRequest]) -> list[ChangeRequestView]:
    step = ChangeRequestStep
    steps: dict[UUID, list[ChangeRequestStep]] = {request.id: [] for request in requests}
    for row in await session.scalars(
        select(step).where(step.request_id.in_(steps)).order_by(step.request_id, step.position)
    ):
        steps[row.request_id].append(row)
    return [ChangeRequestView(request, tuple(steps[request.id])) for request in requests]


# --- the state of a request in SQL, equal to `request_state` ---


def _count_agreements() -> ColumnElement[int]:
    step = ChangeRequestStep
    count = select(func.count()).where(step.request_id == ChangeRequest.id, step.outcome == "agreed")
    return count.correlate(ChangeRequest).scalar_subquery()


def _has_step(*outcomes: str) -> ColumnElement[bool]:
    step = ChangeRequestStep
    return exists().where(step.request_id == ChangeRequest.id, step.outcome.in_(outcomes))


def _is_in_state(state: RequestState) -> ColumnElement[bool]:
    length = func.jsonb_array_length(ChangeRequest.chain)
    match state:
        case RequestState.OPEN:
            return and_(~_has_step("refused", "withdrawn"), _count_agreements() < length)
        case RequestState.AGREED:
            return _count_agreements() == length
    return _has_step(state.value)


def _waits_for_unit_of(actor: Actor) -> ColumnElement[bool]:
    """Open requests whose current level is the actor's unit, except those that the actor filed."""
    current_org_id = func.jsonb_extract_path_text(
        ChangeRequest.chain, cast(_count_agreements(), String), "org_id"
    )
    return and_(
        _is_in_state(RequestState.OPEN),
        current_org_id == str(actor.org_id),
        ChangeRequest.filed_by != actor.account_id,
    )
