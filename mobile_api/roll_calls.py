"""Roll calls on the phone: what is asked, challenge, envelope, frames, and what became of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from starlette.responses import JSONResponse

from backend.core.errors import NotFound
from backend.core.paging import Cursor, Limit, Page, encode_cursor, instant_position
from backend.core.problems import documented, problem_response
from backend.core.web import read_bounded
from backend.org.paths import division_of
from backend.roll_call import challenges, explanations, intake, queries, registrations
from backend.roll_call.attempts import Refused
from backend.roll_call.errors import FrameHashMismatch
from backend.roll_call.law import check_in_figures, law_of
from backend.roll_call.tables import RollCall
from mobile_api.caller import PhoneCaller
from mobile_api.roll_call_schemas import (
    AttemptsOut,
    ChallengeIn,
    ChallengeOut,
    EnvelopeIn,
    FrameOut,
    ReasonOut,
    ReceiptOut,
    RefusalOut,
    RegistrationOut,
    RollCallOut,
    SubmissionOut,
)

router = APIRouter(prefix="/v1", tags=["核验 · roll calls"])


def _state(roll_call: RollCall, at: datetime, *, voided: bool) -> str:
    if voided:
        return "voided"
    if at < roll_call.opens_at:
        return "announced"
    return "open" if at <= roll_call.deadline else "closed"


def _rendered(view: queries.OwnRollCall, at: datetime) -> RollCallOut:
    roll_call, outcome = view.roll_call, view.outcome
    state = _state(roll_call, at, voided=view.voided)
    advice = explanations.what_to_do(
        state,
        view.obligation.duty,
        outcome.outcome if outcome else None,
        sent_to_a_person=view.sent_to_a_person,
    )
    return RollCallOut(
        id=roll_call.id,
        kind=roll_call.kind,
        title=roll_call.title,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.deadline,
        extended_from=roll_call.closes_at if roll_call.extended_until else None,
        duty=view.obligation.duty,
        duty_reason=view.obligation.reason,
        state=state,
        outcome=outcome.outcome if outcome else None,
        outcome_reason=outcome.reason if outcome else None,
        what_to_do_zh=advice.zh,
        what_to_do_en=advice.en,
        server_time=at,
    )


@router.get("/roll-calls", responses=documented(401, 403, 422))
async def list_roll_calls(caller: PhoneCaller, limit: Limit = 20, cursor: Cursor = None) -> Page[RollCallOut]:
    """我的核验（新的在前） · This student's roll calls, newest first."""
    at = caller.at
    assert caller.acting.student_id is not None
    async with caller.transaction() as session:
        rows = await queries.own_roll_calls(
            session, caller.acting.student_id, at, instant_position(cursor), limit + 1
        )
    shown = rows[:limit]
    last = shown[-1].roll_call if len(rows) > limit else None
    following = encode_cursor(last.opens_at.isoformat(), str(last.id)) if last else None
    return Page(items=[_rendered(row, at) for row in shown], next_cursor=following)


@router.get("/roll-calls/{roll_call_id}", responses=documented(401, 403, 404, 422))
async def get_roll_call(caller: PhoneCaller, roll_call_id: UUID) -> RollCallOut:
    """一次核验的详情 · One roll call."""
    at = caller.at
    async with caller.transaction() as session:
        view = await queries.own_roll_call(session, caller.acting, roll_call_id, at)
    return _rendered(view, at)


@router.post(
    "/roll-calls/{roll_call_id}/challenges",
    status_code=201,
    response_model=ChallengeOut,
    responses=documented(401, 403, 404, 409, 422, 429),
)
async def post_challenge(
    caller: PhoneCaller, roll_call_id: UUID, request: Request, body: ChallengeIn | None = None
) -> Response:
    """获取核验口令和要做的动作 · Ask for a nonce and what to do. While an unanswered one lives, its actions stay."""
    at = caller.at
    cannot = body.cannot if body else ()
    async with caller.transaction() as session:
        issued = await challenges.issue_challenge(session, caller.acting, roll_call_id, cannot, at)
        roll_call = await session.get_one(RollCall, roll_call_id)
    if isinstance(issued, Refused):
        return problem_response(request, issued.error)
    answer = ChallengeOut.of(issued, check_in_figures(law_of(roll_call)), at)
    return JSONResponse(answer.model_dump(mode="json"), 201)


@router.post(
    "/roll-calls/{roll_call_id}/envelopes",
    status_code=201,
    responses={
        200: {"model": ReceiptOut, "description": "a retry: the original receipt"},
        **documented(401, 403, 404, 409, 413, 422, 429),
    },
    response_model=ReceiptOut,
)
async def post_envelope(
    caller: PhoneCaller, roll_call_id: UUID, body: EnvelopeIn, request: Request
) -> Response:
    """提交签名信封 · Submit the signed envelope. The receipt comes only once it is durable."""
    at = caller.at
    async with caller.transaction() as session:
        result = await intake.receive_envelope(
            session, caller.acting, roll_call_id, body.envelope, at, caller.runtime.keys
        )
    if isinstance(result, Refused):
        return problem_response(request, result.error)
    receipt = ReceiptOut(
        submission_id=result.submission_id, receipt=result.receipt, frames_due_at=result.frames_due_at
    )
    return JSONResponse(receipt.model_dump(mode="json"), 201 if result.first else 200)


@router.put(
    "/submissions/{submission_id}/frames/{position}",
    responses=documented(401, 403, 404, 409, 413, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_frame(
    caller: PhoneCaller, submission_id: UUID, position: Annotated[int, Path(ge=0, le=1000)], request: Request
) -> FrameOut:
    """上传一帧图片（与信封中声明的摘要一致） · Upload one frame; it must hash to what the envelope declared."""
    async with caller.transaction() as session:
        frame = await intake.frame_to_store(session, caller.acting, submission_id, position, caller.at)
    data = await read_bounded(request, frame.limit)
    if not frame.matches(data):
        raise FrameHashMismatch(position=position)
    if not frame.stored:
        await caller.runtime.evidence.put(frame.evidence_key, data)
    async with caller.transaction() as session:
        complete = await intake.record_frame(session, caller.acting, frame, len(data), caller.at)
    return FrameOut(position=position, complete=complete)


@router.get("/roll-calls/{roll_call_id}/attempts", responses=documented(401, 403, 404, 422))
async def get_attempts(caller: PhoneCaller, roll_call_id: UUID) -> AttemptsOut:
    """我的提交及结果 · What this student sent, what was found, and what was refused, with what to do."""
    student_id = caller.acting.student_id
    assert student_id is not None
    async with caller.transaction() as session:
        await queries.own_roll_call(session, caller.acting, roll_call_id, caller.at)
        submissions = await queries.own_submissions(session, roll_call_id, student_id)
        refusals = await queries.refusals_of(session, roll_call_id, student_id)
    return AttemptsOut(
        submissions=[_submission(view) for view in submissions],
        refusals=[RefusalOut(at=each.at, step=each.step, code=each.code) for each in refusals],
    )


def _submission(view: queries.SubmissionView) -> SubmissionOut:
    verdict = view.verdict
    reasons = [explanations.reason(code) for code in verdict.reasons] if verdict else []
    return SubmissionOut(
        id=view.submission.id,
        received_at=view.submission.received_at,
        frames_due_at=view.submission.frames_due_at,
        finding=verdict.finding if verdict else None,
        reasons=[ReasonOut(code=each.code, zh=each.zh, en=each.en) for each in reasons],
    )


@router.get("/submissions/{submission_id}", responses=documented(401, 403, 404, 422))
async def get_submission(caller: PhoneCaller, submission_id: UUID) -> SubmissionOut:
    """一次提交的结果 · One attempt and what became of it."""
    async with caller.transaction() as session:
        view = await queries.own_submission(session, caller.acting, submission_id)
    if view is None:
        raise NotFound
    return _submission(view)


@router.post("/me/half-year-registrations", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_registration(caller: PhoneCaller) -> RegistrationOut:
    """非全日制学生学籍注册（每年两次） · A part-time student's registration, twice a year (HN334-2.2)."""
    async with caller.transaction() as session:
        place = division_of(caller.acting.org_path)
        row = await registrations.register(session, caller.acting, place, caller.at)
    return RegistrationOut(year=row.year, number=row.number, at=row.at)
