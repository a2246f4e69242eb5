"""Routes for live progress: the totals of a unit and its children, as JSON and as a stream."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse

from backend.core.clock import legal_day
from backend.core.web.conditional import NOT_MODIFIED, IfNoneMatch, not_modified_response, weak_etag
from backend.core.web.problems import problem_responses
from backend.core.web.requests import Caller
from backend.identity.sign_in.session_watch import SessionWatch
from backend.org.paths import division_of
from backend.policy.installed import policy_at
from backend.roll_call.progress.access import AccessCache, ProgressAccess
from backend.roll_call.progress.cache import TotalsCache
from backend.roll_call.progress.places import load_places
from backend.roll_call.progress.series import load_curve
from backend.roll_call.progress.stream import ProgressStreams
from backend.roll_call.staff_schemas import CurveOut, PlacesOut, ProgressOut
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1/roll-calls", tags=["进度 · progress"])


async def _load_snapshot(
    caller: Caller, roll_call_id: UUID, unit_id: UUID | None
) -> tuple[ProgressAccess, str]:
    """Authorize the caller and render the current snapshot."""
    access = await caller.app_context.service(AccessCache).authorize(
        caller.actor, roll_call_id, unit_id, caller.at
    )
    totals = await caller.app_context.service(TotalsCache).load_current(roll_call_id, access.launcher_path)
    return access, access.render(totals)


@router.get(
    "/{roll_call_id}/progress",
    response_model=ProgressOut,
    responses={**NOT_MODIFIED, **problem_responses(401, 403, 404, 422)},
)
async def get_progress(
    caller: StaffCaller,
    roll_call_id: UUID,
    unit_id: UUID | None = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """实时进度：省→市→县→校→班 · Live totals of a unit and of its direct children."""
    _, snapshot = await _load_snapshot(caller, roll_call_id, unit_id)
    tag = weak_etag(snapshot)
    unchanged = not_modified_response(tag, if_none_match)
    return unchanged or Response(snapshot, media_type="application/json", headers={"ETag": tag})


@router.get("/{roll_call_id}/progress/curve", responses=problem_responses(401, 403, 404, 422))
async def get_progress_curve(
    caller: StaffCaller, roll_call_id: UUID, unit_id: UUID | None = None
) -> CurveOut:
    """完成曲线：随时间的结果数 · The outcomes of a unit over time, from the opening until now or the settlement."""
    async with caller.transaction() as session:
        curve = await load_curve(session, caller.actor, roll_call_id, unit_id, caller.at)
    return CurveOut.of(curve, caller.at)


@router.get("/{roll_call_id}/progress/places", responses=problem_responses(401, 403, 404, 422))
async def get_progress_places(
    caller: StaffCaller, roll_call_id: UUID, unit_id: UUID | None = None
) -> PlacesOut:
    """地图位置：下级单位的中心；学校为核验范围 · Where the children of a unit are; for a school its frozen outlines."""
    async with caller.transaction() as session:
        places = await load_places(session, caller.actor, roll_call_id, unit_id, caller.at)
    return PlacesOut.model_validate(places)


_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["progress", "verification"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}


@router.get(
    "/{roll_call_id}/progress/stream",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": _EVENT}},
            "description": "events",
        },
        **problem_responses(401, 403, 404, 422),
    },
)
async def stream_progress(
    caller: StaffCaller, roll_call_id: UUID, unit_id: UUID | None = None
) -> EventSourceResponse:
    """进度推送（SSE，事件名 progress） · The same totals as server-sent events named `progress`.

    发起单位及其上级另收核验队列（事件名 verification） · The launching side also gets the queue, as events named `verification`.
    """
    access, first = await _load_snapshot(caller, roll_call_id, unit_id)
    return EventSourceResponse(_stream_events(caller, access, first), ping=15)


async def _stream_events(caller: Caller, access: ProgressAccess, first: str) -> AsyncIterator[bytes]:
    """End the stream with its session or account, and after the lifetime of an access token, so that a reconnect checks
    access again.
    """
    assert caller.session_id is not None
    policy = policy_at(legal_day(caller.at), division_of(caller.actor.org_path))
    until = caller.at + policy.duration("identity.token.lifetime")
    streams = caller.app_context.service(ProgressStreams)
    watch = caller.app_context.service(SessionWatch)
    with watch.watch(caller.session_id, lambda: streams.wake(access)) as session:
        async with aclosing(
            streams.subscribe_to_progress(access, first, lambda: session.ended or caller.at > until)
        ) as events:
            async for event in events:
                yield event
