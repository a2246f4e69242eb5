"""Prompts for schools and their superiors (HN334-4.1b, readings 7, 10 and 12)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.aid.preview import preview_effects
from backend.aid.preview_schemas import PromptPreviewOut
from backend.core.listing.pages import CountedPage, PageRequest, WithTotal
from backend.core.pagination import Cursor, Limit
from backend.core.web.problems import problem_responses
from backend.roll_call.positions.schemas import ShownPositionsOut
from backend.staff_api.caller import StaffCaller
from backend.staff_api.pagination import UnitFilter
from backend.staff_api.student_search import StudentSearchText, student_condition
from backend.standing.engine.prompts import PromptKind, PromptState
from backend.standing.prompts import decisions, evidence
from backend.standing.prompts.decisions import (
    AnswerDismissal,
    DecidePrompt,
    ReverseExecution,
    answer_dismissal,
    reverse_execution,
)
from backend.standing.prompts.deliveries import RecordDelivery, receive_prompt, record_delivery
from backend.standing.prompts.evidence import (
    AnswerLateLeave,
    ClosePrompt,
    DetermineCheck,
    RecordNoticeDelivery,
    answer_late_leave,
    determine_check,
)
from backend.standing.prompts.evidence_schemas import (
    CheckFindingIn,
    ClosureIn,
    LateLeaveAnswerIn,
    NoticeDeliveryIn,
)
from backend.standing.prompts.positions import view_prompt_positions
from backend.standing.prompts.queries import PromptSearch, PromptSort, load_prompt_detail, load_prompts_page
from backend.standing.prompts.schemas import (
    DeliveryIn,
    DismissalAnswerIn,
    PromptDecisionIn,
    ReversalIn,
    StaffPromptDetailOut,
    StaffPromptOut,
)

router = APIRouter(prefix="/v1", tags=["提示 · prompts"])

Open = Annotated[bool | None, Query(description="只列未结束的 · only open prompts")]
Overdue = Annotated[
    bool | None, Query(description="只列已过处理期限而未结束的 · only open prompts past their deadline")
]


@router.get("/prompts", responses=problem_responses(401, 403, 404, 422))
async def list_prompts(
    caller: StaffCaller,
    state: PromptState | None = None,
    open_only: Open = None,
    kind: PromptKind | None = None,
    school_id: UUID | None = None,
    class_id: UUID | None = None,
    student_id: UUID | None = None,
    overdue: Overdue = None,
    unit_id: UnitFilter = None,
    q: StudentSearchText = None,
    sort: PromptSort = "-raised_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    total: WithTotal = False,
) -> CountedPage[StaffPromptOut]:
    """提示列表（新的在前） · Prompts of the own school, the own classes or the schools below; newest first.

    查看不等于签收 · Reading a prompt is not a receipt: use POST /v1/prompts/{id}/receipt.
    """
    search = PromptSearch(
        state,
        kind,
        school_id,
        class_id,
        student_id,
        open_only=bool(open_only),
        overdue=bool(overdue),
        unit_id=unit_id,
        matching=student_condition(caller, q),
    )
    async with caller.transaction() as session:
        page = await load_prompts_page(
            session, caller.actor, search, caller.at, PageRequest(limit, cursor, sort, total)
        )
    return page.render_counted(StaffPromptOut.of)


@router.get("/prompts/{prompt_id}", responses=problem_responses(401, 403, 404, 422))
async def get_prompt(caller: StaffCaller, prompt_id: UUID) -> StaffPromptDetailOut:
    """查看提示（依据、陈述、处理） · One prompt with its evidence, statements and decisions."""
    async with caller.transaction() as session:
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.get("/prompts/{prompt_id}/preview", responses=problem_responses(401, 403, 404, 409, 422))
async def preview_prompt_decisions(caller: StaffCaller, prompt_id: UUID) -> PromptPreviewOut:
    """各处理结果会带来什么（学籍、锁定、资助） · What each decision would do to standing, lock and aid, by today's facts."""
    async with caller.transaction() as session:
        preview, effects = await preview_effects(session, caller.actor, prompt_id, caller.at)
    return PromptPreviewOut.of(preview, effects)


@router.get(
    "/prompts/{prompt_id}/positions/{roll_call_id}",
    responses=problem_responses(401, 403, 404, 409, 410, 422),
)
async def get_prompt_positions(caller: StaffCaller, prompt_id: UUID, roll_call_id: UUID) -> ShownPositionsOut:
    """查看提示所依据的一次点名的定位点（留痕；须学生同意） · Positions of a roll call that the prompt rests on; the look is recorded."""
    async with caller.transaction() as session:
        shown = await view_prompt_positions(session, caller.actor, prompt_id, roll_call_id, caller.at)
    return ShownPositionsOut.of(shown)


@router.post("/prompts/{prompt_id}/receipt", responses=problem_responses(401, 403, 404, 409, 422))
async def acknowledge_prompt(caller: StaffCaller, prompt_id: UUID) -> StaffPromptDetailOut:
    """签收提示（处理期限由此起算） · Confirm the receipt as the registrar; the first receipt starts the working days."""
    async with caller.transaction() as session:
        await receive_prompt(session, caller.actor, prompt_id, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/prompts/{prompt_id}/delivery", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def record_prompt_delivery(
    caller: StaffCaller, prompt_id: UUID, body: DeliveryIn
) -> StaffPromptDetailOut:
    """登记其他方式送达（送达回证） · Record a delivery outside the system as the superior; an earlier delivery stays in effect."""
    command = RecordDelivery(prompt_id, body.how, body.received_at, body.text)
    async with caller.transaction() as session:
        await record_delivery(session, caller.actor, command, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/prompts/{prompt_id}/notice-deliveries",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def record_notice_delivery(
    caller: StaffCaller, prompt_id: UUID, body: NoticeDeliveryIn
) -> StaffPromptDetailOut:
    """补登通知送达学生的回证 · Complete the evidence as the superior: the notice reached the student in another way."""
    command = RecordNoticeDelivery(prompt_id, body.roll_call_id, body.how, body.received_at, body.text)
    async with caller.transaction() as session:
        await evidence.record_notice_delivery(session, caller.actor, command, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/prompts/{prompt_id}/check-findings",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def record_check_finding(
    caller: StaffCaller, prompt_id: UUID, body: CheckFindingIn
) -> StaffPromptDetailOut:
    """认定尚无判定的核验 · Determine a missed check whose submission has no verdict, as the launching side."""
    command = DetermineCheck(prompt_id, body.roll_call_id, body.finding, body.text)
    async with caller.transaction() as session:
        await determine_check(session, caller.actor, command, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/prompts/{prompt_id}/closure", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def close_prompt(caller: StaffCaller, prompt_id: UUID, body: ClosureIn) -> StaffPromptDetailOut:
    """因证据不足结束提示 · Close a prompt whose evidence cannot be completed; a further miss raises a new prompt."""
    async with caller.transaction() as session:
        await evidence.close_prompt(session, caller.actor, ClosePrompt(prompt_id, body.reasons), caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/prompts/{prompt_id}/leave-answers",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def answer_prompt_leave(
    caller: StaffCaller, prompt_id: UUID, body: LateLeaveAnswerIn
) -> StaffPromptDetailOut:
    """答复事后补请的假 · Accept or refuse leave that was filed after the absence that it covers began."""
    command = AnswerLateLeave(prompt_id, body.leave_id, body.accepted, body.opinion)
    async with caller.transaction() as session:
        await answer_late_leave(session, caller.actor, command, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/prompts/{prompt_id}/decisions", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def decide_prompt(caller: StaffCaller, prompt_id: UUID, body: PromptDecisionIn) -> StaffPromptDetailOut:
    """处理提示：确认、改选或撤销 · Confirm the proposed outcome, choose another with reasons, or dismiss."""
    command = DecidePrompt(
        prompt_id=prompt_id,
        outcome=body.outcome,
        reasons=body.reasons or "",
        found_reason=body.found_reason,
        found_text=body.found_text or "",
        attachment_ids=tuple(body.attachment_ids),
    )
    async with caller.transaction() as session:
        await decisions.decide_prompt(session, caller.actor, command, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/prompt-decisions/{decision_id}/answer",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def answer_prompt_decision(
    caller: StaffCaller, decision_id: UUID, body: DismissalAnswerIn
) -> StaffPromptDetailOut:
    """答复撤销申请 · Accept or refuse a dismissal as the superior."""
    command = AnswerDismissal(decision_id, body.accepted, body.opinion)
    async with caller.transaction() as session:
        prompt_id = await answer_dismissal(session, caller.actor, command, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)


@router.post(
    "/standing-entries/{entry_id}/reversal",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def reverse_standing_entry(
    caller: StaffCaller, entry_id: UUID, body: ReversalIn
) -> StaffPromptDetailOut:
    """撤回自动执行（一步恢复） · Reverse an automatic execution as the superior, in one step."""
    command = ReverseExecution(entry_id, body.reasons)
    async with caller.transaction() as session:
        prompt_id = await reverse_execution(session, caller.actor, command, caller.at)
        detail = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    return StaffPromptDetailOut.of_detail(detail)
