"""Changes of the record that no prompt causes, from the school's filing up the levels (HN334-4.1c, SD13-4)."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints

from backend.core.pagination import Cursor, Limit, Page
from backend.core.web.problems import documented
from backend.core.web.schema_types import Paragraph, Schema
from backend.people.attachment_schemas import AttachmentIds, AttachmentOut
from backend.people.attachments import AttachmentView, attachments_of
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import page_of, position_id
from backend.standing.change_requests.policy import RequestState
from backend.standing.change_requests.queries import (
    CHANGE_REQUEST,
    ChangeCase,
    ChangeSearch,
    case_for,
    cases_page,
    open_prompts_of,
)
from backend.standing.change_requests.service import (
    GiveOpinion,
    Opinion,
    RequestChange,
    give_opinion,
    request_change,
    withdraw_request,
)

router = APIRouter(prefix="/v1", tags=["学籍异动 · standing changes"])

KindCode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]


class ChangeRequestIn(Schema):
    """A change to file; what it writes follows from its kind."""

    student_id: UUID
    change_kind: KindCode = Field(
        description="异动类别代码：02 留级、11 休学、12 复学、21 转出、31 退学…；L1 转为非全日制、L2 转为全日制",
        examples=["11"],
    )
    reasons: Paragraph = Field(examples=["因病住院，需休养一学期"])
    attachment_ids: AttachmentIds = Field(default_factory=list)


class OpinionIn(Schema):
    """The opinion of the caller's unit; a refusal says why."""

    outcome: Opinion = Field(examples=["agreed"])
    opinion: Paragraph | None = Field(default=None, examples=["情况属实，同意"])


class WithdrawalIn(Schema):
    """Why the school takes its request back."""

    reason: Paragraph = Field(examples=["学生已决定继续就读"])


class LevelOut(BaseModel):
    """A unit of the chain."""

    level: str = Field(description="school, county, city, province", examples=["city"])
    org_id: UUID


class StepOut(LevelOut):
    """What was said at a level."""

    outcome: str = Field(description="agreed, refused, withdrawn", examples=["agreed"])
    opinion: str = Field(examples=["情况属实，同意"])
    decided_by: UUID
    at: datetime


class ChangeRequestOut(BaseModel):
    """A request, who must agree to it, and what was said so far."""

    id: UUID
    school_id: UUID
    student_id: UUID
    change_kind: str = Field(examples=["11"])
    standing: str | None = Field(description="拟变更的学籍状态，空为不变", examples=["02"])
    study_form: str | None = Field(description="拟变更的学习形式，空为不变", examples=[None])
    reasons: str = Field(examples=["因病住院，需休养一学期"])
    locked: bool = Field(
        description="因核验异动锁定，须逐级报省批准 · filed for a locked record", examples=[False]
    )
    state: RequestState
    chain: list[LevelOut]
    waiting_for: LevelOut | None = Field(description="当前审核单位 · whose turn it is")
    steps: list[StepOut]
    filed_by: UUID
    filed_at: datetime

    @classmethod
    def of(cls, case: ChangeCase) -> Self:
        request, current = case.request, case.current
        return cls(
            id=request.id,
            school_id=request.school_id,
            student_id=request.student_id,
            change_kind=request.change_kind,
            standing=request.standing,
            study_form=request.study_form,
            reasons=request.reasons,
            locked=request.locked,
            state=case.state,
            chain=[LevelOut(level=each.level, org_id=each.org_id) for each in case.chain],
            waiting_for=LevelOut(level=current.level, org_id=current.org_id) if current else None,
            steps=[
                StepOut(
                    level=step.level,
                    org_id=step.org_id,
                    outcome=step.outcome,
                    opinion=step.opinion,
                    decided_by=step.decided_by,
                    at=step.at,
                )
                for step in case.steps
            ],
            filed_by=request.filed_by,
            filed_at=request.filed_at,
        )


class ChangeRequestDetailOut(ChangeRequestOut):
    """A request with what its reader should see before an opinion: its files, and prompts still undecided."""

    attachments: list[AttachmentOut]
    open_prompts: list[UUID] = Field(
        description="该生尚未处理的提示；同意异动可能使其失效 · undecided prompts, which the change may end"
    )

    @classmethod
    def detailed(cls, case: ChangeCase, files: list[AttachmentView], prompts: list[UUID]) -> Self:
        shown = [AttachmentOut.model_validate(file) for file in files]
        return cls(**dict(ChangeRequestOut.of(case)), attachments=shown, open_prompts=prompts)


@router.get("/change-requests", responses=documented(401, 403, 422))
async def list_change_requests(
    caller: StaffCaller,
    state: RequestState | None = None,
    waiting_for: Annotated[
        Literal["me"] | None, Query(description="只列待我审核的 · only those that wait for my opinion")
    ] = None,
    school_id: UUID | None = None,
    student_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ChangeRequestOut]:
    """学籍异动申请（新的在前） · Requests of the caller's schools, newest first."""
    search = ChangeSearch(state, waiting_for == "me", school_id, student_id)
    async with caller.transaction() as session:
        rows = await cases_page(session, caller.actor, search, position_id(cursor), limit + 1)
    return page_of(rows, limit, ChangeRequestOut.of, lambda case: case.request.id)


@router.get("/change-requests/{request_id}", responses=documented(401, 403, 404, 422))
async def get_change_request(caller: StaffCaller, request_id: UUID) -> ChangeRequestDetailOut:
    """查看异动申请及各级意见 · One request with its files and the opinions given."""
    async with caller.transaction() as session:
        case = await case_for(session, caller.actor, request_id)
        files = await attachments_of(session, CHANGE_REQUEST, [request_id])
        prompts = await open_prompts_of(session, case.request.student_id)
    return ChangeRequestDetailOut.detailed(case, files[request_id], prompts)


@router.post("/change-requests", status_code=201, responses=documented(401, 403, 404, 409, 422))
async def post_change_request(caller: StaffCaller, body: ChangeRequestIn) -> ChangeRequestOut:
    """申报学籍异动 · File a change of a student of the own school; the chain of approval is fixed now."""
    command = RequestChange(body.student_id, body.change_kind, body.reasons, tuple(body.attachment_ids))
    async with caller.transaction() as session:
        case = await request_change(session, caller.actor, command, caller.at)
    return ChangeRequestOut.of(case)


@router.post(
    "/change-requests/{request_id}/opinions", status_code=201, responses=documented(401, 403, 404, 409, 422)
)
async def post_opinion(caller: StaffCaller, request_id: UUID, body: OpinionIn) -> ChangeRequestOut:
    """审核学籍异动（不同意须写明意见） · The opinion of the unit whose turn it is; the last agreement takes effect."""
    command = GiveOpinion(request_id, body.outcome, body.opinion)
    async with caller.transaction() as session:
        case = await give_opinion(session, caller.actor, command, caller.at)
    return ChangeRequestOut.of(case)


@router.post(
    "/change-requests/{request_id}/withdrawal",
    status_code=201,
    responses=documented(401, 403, 404, 409, 422),
)
async def post_withdrawal(caller: StaffCaller, request_id: UUID, body: WithdrawalIn) -> ChangeRequestOut:
    """撤回异动申请 · Take a request of the own school back while it is under way."""
    async with caller.transaction() as session:
        case = await withdraw_request(session, caller.actor, request_id, body.reason, caller.at)
    return ChangeRequestOut.of(case)
