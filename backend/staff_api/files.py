"""Staff endpoints to upload files about students, and to download files of facts that the caller may see."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import and_

from backend.core.web.problems import problem_responses
from backend.core.web.requests import read_bounded
from backend.identity.attachment_inspection import MEDIA_TYPES, inspect_upload
from backend.leave.queries import LEAVE_ATTACHMENTS, in_visible_classes
from backend.people.attachment_files import read_attachment, store_upload
from backend.people.attachment_schemas import (
    AttachmentOut,
    download_response,
    file_request_body,
    file_response,
)
from backend.people.attachments import attachment_policy
from backend.people.tables import AttachmentLink, Student
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["附件 · attachments"])


@router.post(
    "/attachments",
    status_code=201,
    responses=problem_responses(401, 403, 404, 413, 415, 422, 429),
    openapi_extra=file_request_body(MEDIA_TYPES),
)
async def upload_attachment(
    caller: StaffCaller,
    request: Request,
    student_id: Annotated[UUID, Query(description="附件所涉学生 · the student the file is about")],
) -> AttachmentOut:
    """上传附件（JPEG、PNG 或 PDF），随后在相关请求中引用 · Upload a file about a student, for use in a later request.

    Files that no request uses within a day are deleted.
    """
    limit = attachment_policy(caller.actor, caller.at).integer("attachment.size_limit")
    content = await inspect_upload(await read_bounded(request, limit), request.headers.get("content-type"))
    view = await store_upload(caller.app_context, caller.actor, student_id, content, caller.at)
    return AttachmentOut.model_validate(view)


@router.get(
    "/attachments/{attachment_id}",
    response_class=Response,
    responses=problem_responses(401, 403, 404, 422) | file_response(),
)
async def download_attachment(caller: StaffCaller, attachment_id: UUID) -> Response:
    """下载附件 · Download a file of a fact that the caller may see; the access is recorded."""
    as_stand_in = and_(
        AttachmentLink.subject_type == LEAVE_ATTACHMENTS,
        in_visible_classes(caller.actor, Student.class_id.expression, caller.at),
    )
    content = await read_attachment(caller.app_context, caller.actor, attachment_id, caller.at, as_stand_in)
    return download_response(attachment_id, content)
