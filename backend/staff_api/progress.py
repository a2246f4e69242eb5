"""Live progress, drilled down from the province to a class, and streamed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from backend.core.clock import legal_day
from backend.core.conditional import NOT_MODIFIED, IfNoneMatch, not_modified, tag_of
from backend.core.problems import documented
from backend.core.web import Caller
from backend.org.paths import division_of
from backend.org.queries import unit_below
from backend.roll_call.boards import Boards
from backend.roll_call.law import law_at
from backend.roll_call.oversight import access_roll_call
from backend.roll_call.progress import Progress, as_event, progress_of, rendered
from backend.staff_api.caller import StaffCaller
from backend.staff_api.roll_call_schemas import ProgressOut

router = APIRouter(prefix="/v1/roll-calls", tags=["进度 · progress"])


async def _progress(caller: Caller, roll_call_id: UUID, unit_id: UUID | None) -> Progress:
    async with caller.transaction() as session:
        await access_roll_call(session, caller.acting, roll_call_id, caller.at)
        unit = await unit_below(session, caller.acting, unit_id or caller.acting.org_id)
        return await progress_of(session, caller.acting, roll_call_id, unit)


@router.get(
    "/{roll_call_id}/progress",
    response_model=ProgressOut,
    responses={**NOT_MODIFIED, **documented(401, 403, 404, 422)},
)
async def get_progress(
    caller: StaffCaller,
    roll_call_id: UUID,
    response: Response,
    unit_id: UUID | None = None,
    if_none_match: IfNoneMatch = None,
) -> ProgressOut | Response:
    """实时进度：省→市→县→校→班 · Live counts of a unit and of what lies directly below it."""
    shown = rendered(await _progress(caller, roll_call_id, unit_id))
    tag = tag_of(shown)
    if (unchanged := not_modified(tag, if_none_match)) is not None:
        return unchanged
    response.headers["ETag"] = tag
    return ProgressOut.model_validate(shown)


_EVENT = {
    "type": "object",
    "properties": {
        "event": {"const": "progress"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}


@router.get(
    "/{roll_call_id}/progress/stream",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": _EVENT}},
            "description": "progress events",
        },
        **documented(401, 403, 404, 422),
    },
)
async def stream_progress(
    caller: StaffCaller, roll_call_id: UUID, unit_id: UUID | None = None
) -> EventSourceResponse:
    """进度推送（SSE，事件名 progress） · The same, as server-sent events named `progress`."""
    first = await _progress(caller, roll_call_id, unit_id)
    return EventSourceResponse(_events(caller, roll_call_id, first), ping=15)


async def _events(caller: Caller, roll_call_id: UUID, first: Progress) -> AsyncIterator[ServerSentEvent]:
    """Ends after the life of an access token: reconnecting asks anew whether the caller may still look."""
    law = law_at(legal_day(caller.at), division_of(caller.acting.org_path))
    until = caller.at + law.duration("identity.token.lifetime")
    unit_id = first.unit.unit_id

    async def look() -> str:
        return as_event(await _progress(caller, roll_call_id, unit_id))

    # All who may see a unit see the same figures of it, but for counselors, who see their own classes.
    own = caller.acting.account_id if caller.acting.kind == "counselor" else None
    board = Boards.of(caller.runtime).watch(
        (roll_call_id, unit_id, own), roll_call_id, as_event(first), look, lambda: caller.at > until
    )
    async with aclosing(board) as shown:
        async for data in shown:
            yield ServerSentEvent(data, event="progress")
