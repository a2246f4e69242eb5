"""Reading change requests: one with its steps, those that wait for the caller's unit, those of a school."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.standing.change_requests.policy import Level, RequestState, request_state
from backend.standing.store.tables import ChangeRequest, ChangeRequestStep, PromptRecord, PromptStep

CHANGE_REQUEST = "change_request"
"""What audits and attachments call a request."""


@dataclass(frozen=True, slots=True)
class ChangeCase:
    """A request with the opinions given so far, in their order."""

    request: ChangeRequest
    steps: tuple[ChangeRequestStep, ...]

    @property
    def chain(self) -> tuple[Level, ...]:
        """Who must agree, lowest first, as it was when the request was filed."""
        return tuple(Level(each["level"], UUID(each["org_id"])) for each in self.request.chain)

    @property
    def state(self) -> RequestState:
        return request_state(len(self.request.chain), [step.outcome for step in self.steps])

    @property
    def current(self) -> Level | None:
        """Whose turn it is; None once the request has ended."""
        return self.chain[len(self.steps)] if self.state is RequestState.OPEN else None


@dataclass(frozen=True, slots=True)
class ChangeSearch:
    """Which requests; what is not given narrows nothing. `waiting`: those that wait for the caller's unit."""

    state: RequestState | None = None
    waiting: bool = False
    school_id: UUID | None = None
    student_id: UUID | None = None


async def case_for(session: AsyncSession, actor: Actor, request_id: UUID) -> ChangeCase:
    """One request that the scope admits, as it stands now; else `NotFound`."""
    _must_handle_changes(actor)
    request = await session.get(ChangeRequest, request_id)
    if request is None:
        raise NotFound
    return (await _cases(session, [request]))[0]


async def open_case_of(session: AsyncSession, student_id: UUID) -> ChangeCase | None:
    """The student's request that is under way; ask it while holding the student's turn."""
    found = await session.scalars(
        select(ChangeRequest).where(ChangeRequest.student_id == student_id, _in_state(RequestState.OPEN))
    )
    cases = await _cases(session, found.all())
    return cases[0] if cases else None


async def cases_page(
    session: AsyncSession, actor: Actor, search: ChangeSearch, before: UUID | None, limit: int
) -> Sequence[ChangeCase]:
    """At most `limit` requests of the scope, newest first, older than the id `before`."""
    _must_handle_changes(actor)
    page = select(ChangeRequest).order_by(ChangeRequest.id.desc()).limit(limit)
    if search.state is not None:
        page = page.where(_in_state(search.state))
    if search.waiting:
        page = page.where(_waits_for(actor))
    if search.school_id is not None:
        page = page.where(ChangeRequest.school_id == search.school_id)
    if search.student_id is not None:
        page = page.where(ChangeRequest.student_id == search.student_id)
    if before is not None:
        page = page.where(ChangeRequest.id < before)
    return await _cases(session, (await session.scalars(page)).all())


async def open_prompts_of(session: AsyncSession, student_id: UUID) -> list[UUID]:
    """The student's prompts that nothing has closed; a change that ends the duty of presence ends them too."""
    ended = exists().where(PromptStep.prompt_id == PromptRecord.id, PromptStep.closed_at.is_not(None))
    rows = await session.scalars(
        select(PromptRecord.id)
        .where(PromptRecord.student_id == student_id, ~ended)
        .order_by(PromptRecord.raised_at, PromptRecord.id)
    )
    return list(rows)


def _must_handle_changes(actor: Actor) -> None:
    """Reasons and opinions are for those who file and decide; a counselor sees what became of them, in the ledger."""
    if actor.role not in {"province", "bureau", "registrar"}:
        raise NotPermitted(
            reason_zh="异动申请由学校学籍管理员和上级教育部门办理",
            reason_en="change requests are for registrars and authorities",
        )


async def _cases(session: AsyncSession, requests: Sequence[ChangeRequest]) -> list[ChangeCase]:
    step = ChangeRequestStep
    steps: dict[UUID, list[ChangeRequestStep]] = {request.id: [] for request in requests}
    for row in await session.scalars(
        select(step).where(step.request_id.in_(steps)).order_by(step.request_id, step.position)
    ):
        steps[row.request_id].append(row)
    return [ChangeCase(request, tuple(steps[request.id])) for request in requests]


# --- the state of a request in SQL, as `request_state` says it ---


def _agreed() -> ColumnElement[int]:
    step = ChangeRequestStep
    counted = select(func.count()).where(step.request_id == ChangeRequest.id, step.outcome == "agreed")
    return counted.correlate(ChangeRequest).scalar_subquery()


def _ended_by(*outcomes: str) -> ColumnElement[bool]:
    step = ChangeRequestStep
    return exists().where(step.request_id == ChangeRequest.id, step.outcome.in_(outcomes))


def _in_state(state: RequestState) -> ColumnElement[bool]:
    length = func.jsonb_array_length(ChangeRequest.chain)
    match state:
        case RequestState.OPEN:
            return and_(~_ended_by("refused", "withdrawn"), _agreed() < length)
        case RequestState.AGREED:
            return _agreed() == length
    return _ended_by(state.value)


def _waits_for(actor: Actor) -> ColumnElement[bool]:
    """Requests at the caller's own level, but those the caller filed."""
    turn = func.jsonb_extract_path_text(ChangeRequest.chain, cast(_agreed(), String), "org_id")
    return and_(
        _in_state(RequestState.OPEN),
        turn == str(actor.org_id),
        ChangeRequest.filed_by != actor.account_id,
    )
