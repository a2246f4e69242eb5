"""Live progress, drilled down from the province to a class, and streamed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse

from backend.core.clock import legal_day
from backend.core.web.conditional import NOT_MODIFIED, IfNoneMatch, etag_of, not_modified
from backend.core.web.problems import documented
from backend.core.web.requests import Caller
from backend.org.paths import division_of
from backend.policy.installed import policy_at
from backend.roll_call.progress.access import AccessCache, ProgressAccess
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.stream import ProgressStreams
from backend.roll_call.staff_schemas import ProgressOut
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1/roll-calls", tags=["进度 · progress"])


async def _progress(caller: Caller, roll_call_id: UUID, unit_id: UUID | None) -> tuple[ProgressAccess, str]:
    """What the caller may look at, and what it shows now."""
    view = await caller.app_context.service(AccessCache).view(caller.actor, roll_call_id, unit_id, caller.at)
    tally = await caller.app_context.service(TotalsCache).fresh(roll_call_id, view.launcher_path)
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
    tag = etag_of(shown)
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


async def _events(caller: Caller, view: ProgressAccess, first: str) -> AsyncIterator[bytes]:
    """Ends after the life of an access token: reconnecting asks anew whether the caller may still look."""
    law = policy_at(legal_day(caller.at), division_of(caller.actor.org_path))
    until = caller.at + law.duration("identity.token.lifetime")
    async with aclosing(
        caller.app_context.service(ProgressStreams).watch(view, first, lambda: caller.at > until)
    ) as shown:
        async for event in shown:
            yield event
