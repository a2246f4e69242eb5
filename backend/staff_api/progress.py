"""Live progress, drilled down from the province to a class, and streamed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from uuid import UUID

from fastapi import APIRouter, Response
from redis.exceptions import RedisError
from sse_starlette import EventSourceResponse, ServerSentEvent

from backend.core.clock import legal_day
from backend.core.conditional import NOT_MODIFIED, IfNoneMatch, not_modified, tag_of
from backend.core.problems import documented
from backend.core.web import Caller
from backend.org.paths import division_of
from backend.org.queries import unit_below
from backend.roll_call.law import law_at
from backend.roll_call.oversight import access_roll_call
from backend.roll_call.progress import CHANNEL, Progress, as_event, progress_of, rendered
from backend.staff_api.caller import StaffCaller
from backend.staff_api.roll_call_schemas import ProgressOut

router = APIRouter(prefix="/v1/roll-calls", tags=["进度 · progress"])

LEAST_SECONDS_BETWEEN = 1.0
"""However many outcomes arrive, a dashboard is refreshed at most this often."""
LOOK_AGAIN_SECONDS = 10.0
"""Without a nudge (Redis gone, or nothing new) a dashboard is refreshed this often."""


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
    return EventSourceResponse(_events(caller, roll_call_id, unit_id, first), ping=15)


async def _events(
    caller: Caller, roll_call_id: UUID, unit_id: UUID | None, first: Progress
) -> AsyncIterator[ServerSentEvent]:
    """Ends after the life of an access token: reconnecting asks anew whether the caller may still look."""
    law = law_at(legal_day(caller.at), division_of(caller.acting.org_path))
    until = caller.at + law.duration("identity.token.lifetime")
    last = as_event(first)
    yield ServerSentEvent(last, event="progress")
    async with aclosing(_nudges(caller, roll_call_id)) as nudges:
        async for _ in nudges:
            if caller.at > until:
                return
            data = as_event(await _progress(caller, roll_call_id, unit_id))
            if data != last:
                last = data
                yield ServerSentEvent(data, event="progress")
            await asyncio.sleep(LEAST_SECONDS_BETWEEN)


async def _nudges(caller: Caller, roll_call_id: UUID) -> AsyncGenerator[None]:
    """One item whenever it is worth looking again."""
    while True:
        try:
            async with caller.runtime.redis.pubsub() as subscription:
                await subscription.subscribe(CHANNEL + str(roll_call_id))
                while True:
                    await subscription.get_message(ignore_subscribe_messages=True, timeout=LOOK_AGAIN_SECONDS)
                    yield
        except RedisError:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            yield
