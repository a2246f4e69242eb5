"""Routes of roll calls for the mobile app: list, challenge, frames, attempts. Envelopes: `mobile_api/envelopes.py`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from backend.core.errors import NotFound
from backend.core.pagination import Cursor, Limit, Page, decode_time_cursor, encode_cursor
from backend.core.web.conditional import NOT_MODIFIED, IfNoneMatch, not_modified_response, weak_etag
from backend.core.web.problems import problem_response, problem_responses
from backend.core.web.request_checks import refuse_form
from backend.core.web.requests import Caller
from backend.identity.consents import has_chosen_non_face_route
from backend.org.paths import division_of
from backend.roll_call import half_year_registration, student_queries
from backend.roll_call.check_in import challenges, frames
from backend.roll_call.check_in.card import load_card_facts
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.policy import check_in_limits, roll_call_policy
from backend.roll_call.student_schemas import (
    ChallengeIn,
    ChallengeOut,
    FrameOut,
    HalfYearRegistrationOut,
    OwnAttemptsOut,
    OwnRollCallOut,
    SubmissionOut,
)
from backend.roll_call.tables import RollCall
from backend.standing.student_view.counting import (
    load_counting_version,
    load_positions,
)
from mobile_api.caller import PhoneCaller
from mobile_api.roll_call_views import render_refusal, render_roll_call, render_submission

TermCode = Annotated[
    str | None,
    Query(
        max_length=40, pattern=r"^[0-9a-z-]+$", description="学期 · only this term", examples=["2026-autumn"]
    ),
]

router = APIRouter(prefix="/v1", tags=["核验 · roll calls"])


@router.get(
    "/roll-calls",
    response_model=Page[OwnRollCallOut],
    responses={**NOT_MODIFIED, **problem_responses(401, 403, 422)},
)
async def list_roll_calls(
    caller: PhoneCaller,
    response: Response,
    term_code: TermCode = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    if_none_match: IfNoneMatch = None,
) -> Page[OwnRollCallOut] | Response:
    """我的核验（新的在前） · This student's roll calls, newest first."""
    at, after = caller.at, decode_time_cursor(cursor)
    assert caller.actor.student_id is not None
    async with caller.transaction() as session:
        tag = weak_etag(
            limit,
            cursor,
            term_code,
            await student_queries.load_view_version(session, caller.actor.student_id, at),
            await load_counting_version(session, caller.actor.student_id),
            await has_chosen_non_face_route(session, caller.actor.student_id),
        )
        if (unchanged := not_modified_response(tag, if_none_match)) is not None:
            return unchanged
        rows = await student_queries.load_student_roll_calls(
            session, caller.actor.student_id, at, after, limit + 1, term_code
        )
        positions = await load_positions(session, [caller.actor.student_id])
        facts = await load_card_facts(session, caller.actor.student_id, rows)
    response.headers["ETag"] = tag
    page = rows[:limit]
    last = page[-1].roll_call if len(rows) > limit else None
    next_cursor = encode_cursor(last.opens_at.isoformat(), str(last.id)) if last else None
    return Page(
        items=[render_roll_call(row, facts, positions, at, caller.app_context.keys) for row in page],
        next_cursor=next_cursor,
    )


@router.get(
    "/roll-calls/{roll_call_id}",
    response_model=OwnRollCallOut,
    responses={**NOT_MODIFIED, **problem_responses(401, 403, 404, 422)},
)
async def get_roll_call(
    caller: PhoneCaller, roll_call_id: UUID, response: Response, if_none_match: IfNoneMatch = None
) -> OwnRollCallOut | Response:
    """一次核验的详情 · One roll call."""
    at = caller.at
    async with caller.transaction() as session:
        tag = await _roll_call_etag(session, caller, roll_call_id)
        if (unchanged := not_modified_response(tag, if_none_match)) is not None:
            return unchanged
        view = await student_queries.load_student_roll_call(session, caller.actor, roll_call_id, at)
        student_id = view.obligation.student_id
        positions = await load_positions(session, [student_id])
        facts = await load_card_facts(session, student_id, [view])
    response.headers["ETag"] = tag
    return render_roll_call(view, facts, positions, at, caller.app_context.keys)


async def _roll_call_etag(session: AsyncSession, caller: Caller, roll_call_id: UUID) -> str:
    """Return the ETag of the student's view of one roll call; raises NotFound if there is none."""
    assert caller.actor.student_id is not None
    student_id, announced, *rest = await student_queries.load_view_version(
        session, caller.actor.student_id, caller.at, roll_call_id
    )
    if not announced:
        raise NotFound
    return weak_etag(
        roll_call_id,
        student_id,
        rest,
        await load_counting_version(session, caller.actor.student_id),
        await has_chosen_non_face_route(session, caller.actor.student_id),
    )


@router.post(
    "/roll-calls/{roll_call_id}/challenges",
    status_code=201,
    response_model=ChallengeOut,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
async def request_challenge(
    caller: PhoneCaller, roll_call_id: UUID, request: Request, body: ChallengeIn | None = None
) -> Response:
    """获取核验口令和要做的动作 · Request a nonce and actions. An unanswered challenge keeps its actions until it expires."""
    at = caller.at
    cannot = body.cannot if body else ()
    async with caller.transaction() as session:
        issued = await challenges.issue_challenge(session, caller.actor, roll_call_id, cannot, at)
        roll_call = await session.get_one(RollCall, roll_call_id)
    if isinstance(issued, RecordedRefusal):
        return problem_response(request, issued.error)
    answer = ChallengeOut.of(issued, check_in_limits(roll_call_policy(roll_call)), at)
    return JSONResponse(answer.model_dump(mode="json"), 201)


@router.put(
    "/submissions/{submission_id}/frames/{position}",
    responses=problem_responses(401, 403, 404, 409, 413, 415, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in ("image/jpeg", "image/heic", "image/png", "image/webp")
            },
        }
    },
)
async def upload_frame(
    caller: PhoneCaller, submission_id: UUID, position: Annotated[int, Path(ge=0, le=1000)], request: Request
) -> FrameOut:
    """上传一帧图片（与信封中声明的摘要一致） · Upload one frame; it must match the hash declared in the envelope."""
    refuse_form(request, "image/jpeg")
    app_context, at = caller.app_context, caller.at
    frame = await frames.load_declared_frame(app_context, caller.actor, submission_id, position, at)
    size = await frames.store_frame(app_context, frame, request.stream())
    stored = frames.StoredFrame(frame, caller.actor, size, at)
    complete = await app_context.service(frames.FrameRecorder).record(stored)
    return FrameOut(position=position, complete=complete)


@router.get(
    "/roll-calls/{roll_call_id}/attempts",
    response_model=OwnAttemptsOut,
    responses={**NOT_MODIFIED, **problem_responses(401, 403, 404, 422)},
)
async def list_attempts(
    caller: PhoneCaller, roll_call_id: UUID, response: Response, if_none_match: IfNoneMatch = None
) -> OwnAttemptsOut | Response:
    """我的提交及结果 · Submissions of this student with their verdicts, and refusals."""
    student_id = caller.actor.student_id
    assert student_id is not None
    async with caller.transaction() as session:
        tag = await _roll_call_etag(session, caller, roll_call_id)
        if (unchanged := not_modified_response(tag, if_none_match)) is not None:
            return unchanged
        closed = caller.at > (await session.get_one(RollCall, roll_call_id)).deadline
        submissions = await student_queries.load_submissions(session, roll_call_id, student_id)
        refusals = await student_queries.load_refusals(session, roll_call_id, student_id)
    response.headers["ETag"] = tag
    return OwnAttemptsOut(
        submissions=[render_submission(view, closed=closed) for view in submissions],
        refusals=[render_refusal(each) for each in refusals],
    )


@router.get("/submissions/{submission_id}", responses=problem_responses(401, 403, 404, 422))
async def get_submission(caller: PhoneCaller, submission_id: UUID) -> SubmissionOut:
    """一次提交的结果 · One submission and its verdict."""
    async with caller.transaction() as session:
        view = await student_queries.load_own_submission(session, caller.actor, submission_id)
        if view is None:
            raise NotFound
        closed = caller.at > (await session.get_one(RollCall, view.submission.roll_call_id)).deadline
    return render_submission(view, closed=closed)


@router.post(
    "/me/half-year-registrations", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def register_half_year(caller: PhoneCaller) -> HalfYearRegistrationOut:
    """非全日制学生学籍注册（每学期注册期内一次） · A part-time student's registration, once in each term's period (HN334-2.2)."""
    async with caller.transaction() as session:
        place = division_of(caller.actor.org_path)
        row = await half_year_registration.register_half_year(session, caller.actor, place, caller.at)
    return HalfYearRegistrationOut(term_code=row.term_code, year=row.year, number=row.number, at=row.at)
