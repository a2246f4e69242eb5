"""Roll calls on the phone: what is asked, challenge, envelope, frames, and what became of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import JSONResponse

from backend.core.errors import NotFound
from backend.core.paging import Cursor, Limit, Page, encode_cursor, instant_position
from backend.core.problems import documented, problem_response
from backend.core.web import read_bounded
from backend.core.wire import Wire
from backend.org.paths import division_of
from backend.roll_call import explanations, intake, queries, registrations
from backend.roll_call.errors import FrameHashMismatch
from backend.roll_call.law import check_in_figures, law_of
from backend.roll_call.tables import RollCall
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["核验 · roll calls"])

MAX_ENVELOPE = 65536


class RollCallOut(BaseModel):
    """A roll call as its student sees it. The fence and the thresholds are never told."""

    id: UUID
    kind: str = Field(examples=["spot_check"])
    title: str = Field(examples=["全省中职学籍核验"])
    opens_at: datetime
    closes_at: datetime
    duty: str = Field(description="owed, excused or exempt", examples=["owed"])
    duty_reason: str | None
    state: str = Field(description="announced, open, closed or voided", examples=["open"])
    outcome: str | None = Field(
        description="present, missed, excused, undetermined; null while open", examples=[None]
    )
    outcome_reason: str | None
    what_to_do_zh: str
    what_to_do_en: str
    server_time: datetime


class FrameRules(BaseModel):
    """How many pictures to take, and how large each may be."""

    min_count: int
    max_count: int
    max_bytes: int


class FixRules(BaseModel):
    """How many location samples to take, and how old each may be."""

    min_count: int
    max_count: int
    max_age_s: float


class ChallengeOut(BaseModel):
    """Sign the nonce into an envelope before it expires."""

    nonce: str
    issued_at: datetime
    expires_at: datetime
    server_time: datetime
    frames: FrameRules
    fixes: FixRules


class EnvelopeIn(Wire):
    """A compact JWS (ES256, typ `dianming-check-in+jws`) signed with the phone's key."""

    envelope: Annotated[
        str,
        StringConstraints(
            min_length=20,
            max_length=MAX_ENVELOPE,
            pattern=r"^[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+$",
        ),
    ] = Field(examples=["eyJhbGciOiJFUzI1NiJ9.eyJub25jZSI6Ii4uLiJ9.c2lnbmF0dXJl"])


class ReceiptOut(BaseModel):
    """The envelope is durable. `receipt` is a JWS of the server; a retry gets the very same one."""

    submission_id: UUID
    receipt: str
    frames_due_at: datetime


class FrameOut(BaseModel):
    """A stored frame; `complete` once the whole burst is here and verification has begun."""

    position: int
    complete: bool


class ReasonOut(BaseModel):
    """Why, and what to do."""

    code: str = Field(examples=["outside_site"])
    zh: str
    en: str


class SubmissionOut(BaseModel):
    """One attempt and what became of it."""

    id: UUID
    received_at: datetime
    frames_due_at: datetime
    finding: str | None = Field(description="accepted, step_up, rejected, undetermined; null while verifying")
    reasons: list[ReasonOut]


class RefusalOut(BaseModel):
    """An attempt that was refused on the spot."""

    at: datetime
    step: str
    code: str


class AttemptsOut(BaseModel):
    """Everything this student sent for a roll call."""

    submissions: list[SubmissionOut]
    refusals: list[RefusalOut]


class RegistrationOut(BaseModel):
    """A part-time student's registration of the year (HN334-2.2)."""

    year: int = Field(examples=[2026])
    number: int = Field(examples=[1])
    at: datetime


def _state(roll_call: RollCall, at: datetime, *, voided: bool) -> str:
    if voided:
        return "voided"
    if at < roll_call.opens_at:
        return "announced"
    return "open" if at <= roll_call.closes_at else "closed"


def _rendered(view: queries.OwnRollCall, at: datetime) -> RollCallOut:
    roll_call, outcome = view.roll_call, view.outcome
    state = _state(roll_call, at, voided=view.voided)
    advice = explanations.what_to_do(state, view.obligation.duty, outcome.outcome if outcome else None)
    return RollCallOut(
        id=roll_call.id,
        kind=roll_call.kind,
        title=roll_call.title,
        opens_at=roll_call.opens_at,
        closes_at=roll_call.closes_at,
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
async def post_challenge(caller: PhoneCaller, roll_call_id: UUID, request: Request) -> Response:
    """获取核验口令 · Ask for a nonce. While an unused one lives, it is given again."""
    at = caller.at
    async with caller.transaction() as session:
        issued = await intake.issue_challenge(session, caller.acting, roll_call_id, at)
        roll_call = await session.get_one(RollCall, roll_call_id)
    if isinstance(issued, intake.Refused):
        return problem_response(request, issued.error)
    figures = check_in_figures(law_of(roll_call))
    answer = ChallengeOut(
        nonce=issued.nonce,
        issued_at=issued.issued_at,
        expires_at=issued.expires_at,
        server_time=at,
        frames=FrameRules(
            min_count=figures.frames_minimum, max_count=figures.frames_maximum, max_bytes=figures.frame_bytes
        ),
        fixes=FixRules(
            min_count=figures.fixes_minimum, max_count=figures.fixes_maximum, max_age_s=figures.fix_age_s
        ),
    )
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
    if isinstance(result, intake.Refused):
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
