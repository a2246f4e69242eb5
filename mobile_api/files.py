"""Phone endpoints to upload and download files: certificates, pictures, scans."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from backend.core.web.problems import problem_responses
from backend.core.web.requests import read_bounded
from backend.identity.attachment_inspection import MEDIA_TYPES, inspect_upload
from backend.people.attachment_files import read_attachment, store_upload
from backend.people.attachment_schemas import (
    AttachmentOut,
    download_response,
    file_request_body,
    file_response,
)
from backend.people.attachments import attachment_policy
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["附件 · attachments"])


@router.post(
    "/attachments",
    status_code=201,
    responses=problem_responses(401, 403, 404, 413, 415, 422, 429),
    openapi_extra=file_request_body(MEDIA_TYPES),
)
async def upload_attachment(caller: PhoneCaller, request: Request) -> AttachmentOut:
    """上传附件（JPEG、PNG 或 PDF），随后在请假、陈述等请求中引用 · Upload a file, for use in a later request.

    Files that no request uses within a day are deleted.
    """
    assert caller.actor.student_id is not None
    limit = attachment_policy(caller.actor, caller.at).integer("attachment.size_limit")
    content = await inspect_upload(await read_bounded(request, limit), request.headers.get("content-type"))
    view = await store_upload(caller.app_context, caller.actor, caller.actor.student_id, content, caller.at)
    return AttachmentOut.model_validate(view)


@router.get(
    "/attachments/{attachment_id}",
    response_class=Response,
    responses=problem_responses(401, 403, 404, 422) | file_response(),
)
async def download_attachment(caller: PhoneCaller, attachment_id: UUID) -> Response:
    """下载附件 · Download a file about oneself."""
    content = await read_attachment(caller.app_context, caller.actor, attachment_id, caller.at)
    return download_response(attachment_id, content)
