"""Live progress, drilled down from the province to a class, and streamed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse

from backend.core.clock import legal_day
from backend.core.conditional import NOT_MODIFIED, IfNoneMatch, not_modified, tag_of
from backend.core.problems import documented
from backend.core.web import Caller
from backend.org.paths import division_of
from backend.roll_call.boards import Boards
from backend.roll_call.law import law_at
from backend.roll_call.progress import View, Views
from backend.roll_call.tallies import Tallies
from backend.staff_api.caller import StaffCaller
from backend.staff_api.roll_call_schemas import ProgressOut

router = APIRouter(prefix="/v1/roll-calls", tags=["进度 · progress"])


async def _progress(caller: Caller, roll_call_id: UUID, unit_id: UUID | None) -> tuple[View, str]:
    """What the caller may look at, and what it shows now."""
    view = await Views.of(caller.runtime).view(caller.acting, roll_call_id, unit_id, caller.at)
    tally = await Tallies.of(caller.runtime).fresh(roll_call_id, view.launcher_path)
    return view, view.drawn(tally)


@router.get(
    "/{roll_call_id}/progress",
    response_model=ProgressOut,
    responses={**NOT_MODIFIED, **documented(401, 403, 404, 422)},
)
async def get_progress(
    caller: StaffCaller,
    roll_call_id: UUID,
    unit_id: UUID | None = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """实时进度：省→市→县→校→班 · Live counts of a unit and of what lies directly below it."""
    _, shown = await _progress(caller, roll_call_id, unit_id)
    tag = tag_of(shown)
    unchanged = not_modified(tag, if_none_match)
    return unchanged or Response(shown, media_type="application/json", headers={"ETag": tag})


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
    view, first = await _progress(caller, roll_call_id, unit_id)
    return EventSourceResponse(_events(caller, view, first), ping=15)


async def _events(caller: Caller, view: View, first: str) -> AsyncIterator[bytes]:
    """Ends after the life of an access token: reconnecting asks anew whether the caller may still look."""
    law = law_at(legal_day(caller.at), division_of(caller.acting.org_path))
    until = caller.at + law.duration("identity.token.lifetime")
    async with aclosing(Boards.of(caller.runtime).watch(view, first, lambda: caller.at > until)) as shown:
        async for event in shown:
            yield event
