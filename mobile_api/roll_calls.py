"""Routes of roll calls for the mobile app: list, challenge, frames, attempts. Envelopes: `mobile_api/envelopes.py`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from backend.core.errors import NotFound
from backend.core.keys import KeyRing
from backend.core.pagination import Cursor, Limit, Page, decode_time_cursor, encode_cursor
from backend.core.web.conditional import NOT_MODIFIED, IfNoneMatch, not_modified_response, weak_etag
from backend.core.web.problems import problem_response, problem_responses
from backend.core.web.request_checks import refuse_form
from backend.core.web.requests import Caller
from backend.org.paths import division_of
from backend.roll_call import half_year_registration, reason_texts, student_queries
from backend.roll_call.check_in import challenges, frames
from backend.roll_call.eligibility import RecordedRefusal
from backend.roll_call.launch.arrival_jitter import jitter_fraction
from backend.roll_call.policy import check_in_limits, max_arrival_jitter, roll_call_policy
from backend.roll_call.rules import StudentPhase
from backend.roll_call.student_schemas import (
    ChallengeIn,
    ChallengeOut,
    ExplainedReasonOut,
    FrameOut,
    HalfYearRegistrationOut,
    OwnAttemptsOut,
    OwnRefusalOut,
    OwnRollCallOut,
    SubmissionOut,
)
from backend.roll_call.tables import RollCall
from backend.standing.student_view.counting import (
    Positions,
    judge_miss,
    load_counting_version,
    load_positions,
)
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["核验 · roll calls"])


def _roll_call_state(roll_call: RollCall, at: datetime, *, voided: bool) -> StudentPhase:
    if voided:
        return "voided"
    if at < roll_call.opens_at:
        return "announced"
    return "open" if at <= roll_call.deadline else "closed"


def _challenge_time(view: student_queries.StudentRollCall, keys: KeyRing) -> datetime:
    """When an app should request its challenge automatically; jitter spreads the students over time."""
    roll_call = view.roll_call
    fraction = jitter_fraction(keys.secret("blind-index"), roll_call.id, view.obligation.student_id)
    return max(roll_call.notify_at, roll_call.opens_at) + fraction * max_arrival_jitter(roll_call)


def _render_roll_call(
    view: student_queries.StudentRollCall, positions: Positions, at: datetime, keys: KeyRing
) -> OwnRollCallOut:
    roll_call, outcome = view.roll_call, view.outcome
    result = outcome.outcome if outcome else None
    counting = judge_miss(
        positions, view.obligation.student_id, roll_call.id, roll_call.kind, result, voided=view.voided
    )
    words = counting.words if counting else None
    state = _roll_call_state(roll_call, at, voided=view.voided)
    advice = reason_texts.what_to_do(
        state,
        view.obligation.duty,
        outcome.outcome if outcome else None,
        sent_to_a_person=view.sent_to_a_person,
        rehearsed=view.is_undetermined_rehearsal,
        look_until=view.look_until,
    )
    return OwnRollCallOut(
        id=roll_call.id,
        kind=roll_call.kind,
        title=roll_call.title,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        extended_from=roll_call.closes_at if roll_call.extended_until else None,
        duty=view.obligation.duty,
        duty_reason=view.obligation.reason,
        state=state,
        outcome=result,
        outcome_reason=outcome.reason if outcome else None,
        look_until=view.look_until,
        counts_as_miss=counting.why is None if counting else None,
        not_counted_reason=counting.why if counting else None,
        not_counted_zh=words.zh if words else None,
        not_counted_en=words.en if words else None,
        what_to_do_zh=words.zh if words else advice.zh,
        what_to_do_en=words.en if words else advice.en,
        server_time=at,
        ask_after_s=max(0.0, (_challenge_time(view, keys) - at).total_seconds()),
    )


@router.get(
    "/roll-calls",
    response_model=Page[OwnRollCallOut],
    responses={**NOT_MODIFIED, **problem_responses(401, 403, 422)},
)
async def list_roll_calls(
    caller: PhoneCaller,
    response: Response,
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
            await student_queries.load_view_version(session, caller.actor.student_id, at),
            await load_counting_version(session, caller.actor.student_id),
        )
        if (unchanged := not_modified_response(tag, if_none_match)) is not None:
            return unchanged
        rows = await student_queries.load_student_roll_calls(
            session, caller.actor.student_id, at, after, limit + 1
        )
        positions = await load_positions(session, [caller.actor.student_id])
    response.headers["ETag"] = tag
    page = rows[:limit]
    last = page[-1].roll_call if len(rows) > limit else None
    next_cursor = encode_cursor(last.opens_at.isoformat(), str(last.id)) if last else None
    return Page(
        items=[_render_roll_call(row, positions, at, caller.app_context.keys) for row in page],
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
        positions = await load_positions(session, [view.obligation.student_id])
    response.headers["ETag"] = tag
    return _render_roll_call(view, positions, at, caller.app_context.keys)


async def _roll_call_etag(session: AsyncSession, caller: Caller, roll_call_id: UUID) -> str:
    """Return the ETag of the student's view of one roll call; raises NotFound if there is none."""
    assert caller.actor.student_id is not None
    student_id, announced, *rest = await student_queries.load_view_version(
        session, caller.actor.student_id, caller.at, roll_call_id
    )
    if not announced:
        raise NotFound
    return weak_etag(
        roll_call_id, student_id, rest, await load_counting_version(session, caller.actor.student_id)
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
        submissions=[_render_submission(view, closed=closed) for view in submissions],
        refusals=[OwnRefusalOut(at=each.at, step=each.step, code=each.code) for each in refusals],
    )


def _render_submission(view: student_queries.SubmissionWithVerdict, *, closed: bool) -> SubmissionOut:
    verdict = view.verdict
    explain = reason_texts.closed_reason if closed else reason_texts.reason
    reasons = [explain(code) for code in verdict.reasons] if verdict else []
    return SubmissionOut(
        id=view.submission.id,
        received_at=view.submission.received_at,
        frames_due_at=view.submission.frames_due_at,
        finding=verdict.finding if verdict else None,
        reasons=[ExplainedReasonOut(code=each.code, zh=each.zh, en=each.en) for each in reasons],
    )


@router.get("/submissions/{submission_id}", responses=problem_responses(401, 403, 404, 422))
async def get_submission(caller: PhoneCaller, submission_id: UUID) -> SubmissionOut:
    """一次提交的结果 · One submission and its verdict."""
    async with caller.transaction() as session:
        view = await student_queries.load_own_submission(session, caller.actor, submission_id)
        if view is None:
            raise NotFound
        closed = caller.at > (await session.get_one(RollCall, view.submission.roll_call_id)).deadline
    return _render_submission(view, closed=closed)


@router.post(
    "/me/half-year-registrations", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def register_half_year(caller: PhoneCaller) -> HalfYearRegistrationOut:
    """非全日制学生学籍注册（每学期注册期内一次） · A part-time student's registration, once in each term's period (HN334-2.2)."""
    async with caller.transaction() as session:
        place = division_of(caller.actor.org_path)
        row = await half_year_registration.register_half_year(session, caller.actor, place, caller.at)
    return HalfYearRegistrationOut(term_code=row.term_code, year=row.year, number=row.number, at=row.at)
