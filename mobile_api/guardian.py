"""What a guardian reads and, for a minor, files with the link of an SMS, in the scope of the link's one student."""

from dataclasses import replace
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request

from backend.appeal.explanations import load_explanation
from backend.appeal.filing import FileAppeal
from backend.appeal.queries import AppealSearch, load_appeal, load_appeals_page, load_dates
from backend.appeal.schemas import AppealDetailOut, AppealMessageIn, AppealMessageOut, AppealOut
from backend.appeal.statements import NewMessage
from backend.appeal.subjects import load_subject
from backend.core.listing.pages import PageRequest
from backend.core.pagination import (
    Cursor,
    Limit,
    Page,
    decode_cursor,
    encode_cursor,
    parse_id,
)
from backend.core.web.problems import problem_responses
from backend.core.web.requests import read_bounded
from backend.guardian.filing import (
    file_appeal_for_student,
    file_claim_for_student,
    file_statement_for_student,
    load_guardian_messages,
    post_message_for_student,
)
from backend.guardian.queries import load_guarded_student, load_misses
from backend.guardian.schemas import (
    GuardedStudentOut,
    GuardianAppealIn,
    GuardianClaimIn,
    GuardianStatementIn,
    MissOut,
)
from backend.identity.attachment_inspection import MEDIA_TYPES, inspect_upload
from backend.identity.names import with_names
from backend.people.attachment_files import store_upload
from backend.people.attachment_schemas import AttachmentOut, file_request_body
from backend.people.attachments import attachment_policy
from backend.standing.claims.queries import load_justified_reasons
from backend.standing.claims.schemas import ClaimOut, JustifiedReasonOut
from backend.standing.claims.service import FileClaim
from backend.standing.explanations.schemas import ExplanationOut
from backend.standing.prompts.queries import PromptSearch, load_prompt_detail, load_prompts_page
from backend.standing.prompts.schemas import OwnPromptDetailOut, PromptOut, StatementOut
from backend.standing.prompts.statements import FileStatement
from backend.standing.student_view.queries import load_own_standing
from backend.standing.student_view.schemas import OwnStandingOut
from mobile_api.caller import ActingGuardianCaller, GuardianCaller, GuardianLink

router = APIRouter(prefix="/v1/guardian", tags=["监护人 · guardians"])

GuardianExplanationKind = Literal["prompt", "entry", "warning", "appeal"]
"""What the consent text names; a withdrawal of aid is not part of it."""


@router.get("/student", responses=problem_responses(401, 404, 429))
async def get_guarded_student(caller: GuardianCaller, link: GuardianLink) -> GuardedStudentOut:
    """孩子的姓名、学校、辅导员及电话，和本链接能做什么 · The student, whom to call, and what this link allows."""
    async with caller.transaction() as session:
        student = await load_guarded_student(session, caller.actor)
    return GuardedStudentOut.of(student, link, caller.at)


@router.get("/standing", responses=problem_responses(401, 429))
async def get_guarded_standing(caller: GuardianCaller) -> OwnStandingOut:
    """学籍与核验情况、预警、未结束的提示 · Standing, counts of the term, warnings and open prompts."""
    async with caller.transaction() as session:
        standing = await load_own_standing(session, caller.actor, caller.at)
    return OwnStandingOut.of(standing)


@router.get("/misses", responses=problem_responses(401, 429))
async def list_guarded_misses(caller: GuardianCaller) -> list[MissOut]:
    """本学期未按时核验的记录（新的在前） · The missed roll calls of the term, newest first."""
    async with caller.transaction() as session:
        misses = await load_misses(session, caller.actor, caller.at)
    return [MissOut.of(miss) for miss in misses]


@router.get("/justified-reasons", responses=problem_responses(401, 429))
async def list_guarded_reasons(caller: GuardianCaller) -> list[JustifiedReasonOut]:
    """正当理由目录 · The catalogue of justified reasons in force today."""
    return [
        JustifiedReasonOut.model_validate(each) for each in load_justified_reasons(caller.actor, caller.at)
    ]


@router.get("/prompts", responses=problem_responses(401, 422, 429))
async def list_guarded_prompts(
    caller: GuardianCaller, limit: Limit = 20, cursor: Cursor = None
) -> Page[PromptOut]:
    """提示（新的在前） · Prompts about the student, newest first."""
    request = PageRequest(limit, cursor)
    async with caller.transaction() as session:
        page = await load_prompts_page(session, caller.actor, PromptSearch(), caller.at, request)
    return page.render(PromptOut.of)


@router.get("/prompts/{prompt_id}", responses=problem_responses(401, 404, 422, 429))
async def get_guarded_prompt(caller: GuardianCaller, prompt_id: UUID) -> OwnPromptDetailOut:
    """查看提示（陈述只含监护人提交的） · One prompt: evidence, deadline and decisions; of statements those by guardians only."""
    async with caller.transaction() as session:
        found = await load_prompt_detail(session, caller.actor, prompt_id, caller.at)
    by_guardians = [view for view in found.statements if view.guardian is not None]
    return OwnPromptDetailOut.of_detail(replace(found, statements=by_guardians))


@router.get("/explanations/{kind}/{case_id}", responses=problem_responses(401, 404, 422, 429))
async def get_guarded_explanation(
    caller: GuardianCaller, kind: GuardianExplanationKind, case_id: UUID
) -> ExplanationOut:
    """查看说明 · The rule and facts behind a result, and what comes next. It is worded for the student."""
    async with caller.transaction() as session:
        explanation = await load_explanation(session, caller.actor, kind, case_id)
    return ExplanationOut.of(explanation)


@router.get("/appeals", responses=problem_responses(401, 422, 429))
@with_names
async def list_guarded_appeals(
    caller: GuardianCaller, limit: Limit = 20, cursor: Cursor = None
) -> Page[AppealOut]:
    """申诉（新的在前） · Appeals about the student, newest first."""
    at = caller.at
    async with caller.transaction() as session:
        page = await load_appeals_page(session, caller.actor, AppealSearch(), at, PageRequest(limit, cursor))
    return page.render(lambda row: AppealOut.of(row, at))


@router.get("/appeals/{appeal_id}", responses=problem_responses(401, 404, 422, 429))
@with_names
async def get_guarded_appeal(caller: GuardianCaller, appeal_id: UUID) -> AppealDetailOut:
    """查看申诉及被申诉事项 · One appeal with its subject."""
    async with caller.transaction() as session:
        appeal = await load_appeal(session, caller.actor, appeal_id)
        dates = await load_dates(session, appeal, caller.actor.org_path)
        subject = await load_subject(session, appeal, caller.at)
    return AppealDetailOut.of_detail(appeal, dates, subject, caller.at, traces=False)


@router.get("/appeals/{appeal_id}/messages", responses=problem_responses(401, 403, 404, 422, 429))
async def list_guarded_messages(
    caller: GuardianCaller, appeal_id: UUID, limit: Limit = 20, cursor: Cursor = None
) -> Page[AppealMessageOut]:
    """监护人所提申诉中的消息（旧的在前） · Messages of an appeal that a guardian filed, oldest first."""
    after = None if cursor is None else parse_id(decode_cursor(cursor, 1)[0])
    async with caller.transaction() as session:
        rows = await load_guardian_messages(session, caller.actor, appeal_id, after, limit + 1)
    shown = rows[:limit]
    following = encode_cursor(str(shown[-1].message.id)) if len(rows) > limit else None
    return Page(items=[AppealMessageOut.of(row) for row in shown], next_cursor=following)


# --- what the guardian of a minor files ---


@router.post(
    "/attachments",
    status_code=201,
    responses=problem_responses(401, 403, 404, 413, 415, 422, 429),
    openapi_extra=file_request_body(MEDIA_TYPES),
)
async def upload_guardian_attachment(caller: ActingGuardianCaller, request: Request) -> AttachmentOut:
    """上传附件（JPEG、PNG 或 PDF），随后在申报、陈述或申诉中引用 · Upload a file, for use in a later request.

    Files that no request uses within a day are deleted.
    """
    assert caller.actor.student_id is not None
    limit = attachment_policy(caller.actor, caller.at).integer("attachment.size_limit")
    content = await inspect_upload(await read_bounded(request, limit), request.headers.get("content-type"))
    view = await store_upload(caller.app_context, caller.actor, caller.actor.student_id, content, caller.at)
    return AttachmentOut.model_validate(view)


@router.post(
    "/roll-calls/{roll_call_id}/reason-claims",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
@with_names
async def submit_guarded_claim(
    caller: ActingGuardianCaller, link: GuardianLink, roll_call_id: UUID, body: GuardianClaimIn
) -> ClaimOut:
    """代未成年学生对未按时核验提出正当理由（一次） · Claim a justified reason for a minor's miss, once for student and guardians."""
    command = FileClaim(
        roll_call_id, body.reason_code, body.text or "", attachment_ids=tuple(body.attachment_ids)
    )
    async with caller.transaction() as session:
        view = await file_claim_for_student(session, link, command, caller.at)
    return ClaimOut.of(view)


@router.post(
    "/prompts/{prompt_id}/statements",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
async def submit_guarded_statement(
    caller: ActingGuardianCaller, link: GuardianLink, prompt_id: UUID, body: GuardianStatementIn
) -> StatementOut:
    """代未成年学生对提示陈述意见 · Make a statement on an open prompt about a minor."""
    async with caller.transaction() as session:
        command = FileStatement(prompt_id, body.text, tuple(body.attachment_ids))
        view = await file_statement_for_student(session, link, command, caller.at)
    return StatementOut.of(view)


@router.post("/appeals", status_code=201, responses=problem_responses(401, 403, 404, 409, 422, 429))
@with_names
async def submit_guarded_appeal(
    caller: ActingGuardianCaller, link: GuardianLink, body: GuardianAppealIn
) -> AppealOut:
    """代未成年学生提出申诉 · File an appeal for a minor; until it is decided nothing is executed automatically."""
    command = FileAppeal(body.against.to_subject(), NewMessage(body.text, body.attachment_ids))
    async with caller.transaction() as session:
        appeal = await file_appeal_for_student(session, link, command, caller.at)
    return AppealOut.of(appeal, caller.at)


@router.post(
    "/appeals/{appeal_id}/messages",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 422, 429),
)
async def send_guarded_message(
    caller: ActingGuardianCaller, link: GuardianLink, appeal_id: UUID, body: AppealMessageIn
) -> AppealMessageOut:
    """在监护人所提的申诉中补充说明 · Post a message to the deciding unit, in an appeal that a guardian filed."""
    async with caller.transaction() as session:
        view = await post_message_for_student(session, link, appeal_id, body.to_message(), caller.at)
    return AppealMessageOut.of(view)
