"""Files that the student sends along: certificates, pictures, scans."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from backend.core.web.problems import documented
from backend.core.web.requests import read_bounded
from backend.identity.attachment_inspection import MEDIA_TYPES, looked_into
from backend.people.attachment_schemas import AttachmentOut, download, file_answer, file_body
from backend.people.attachments import file_law, read_attachment, receive
from mobile_api.caller import PhoneCaller

router = APIRouter(prefix="/v1", tags=["附件 · attachments"])


@router.post(
    "/attachments",
    status_code=201,
    responses=documented(401, 403, 404, 413, 415, 422, 429),
    openapi_extra=file_body(MEDIA_TYPES),
)
async def post_attachment(caller: PhoneCaller, request: Request) -> AttachmentOut:
    """上传附件（JPEG、PNG 或 PDF），随后在请假、陈述等请求中引用 · Upload a file, to be named in a later request.

    What no request names within a day is deleted.
    """
    assert caller.actor.student_id is not None
    limit = file_law(caller.actor, caller.at).integer("attachment.size_limit")
    content = await looked_into(await read_bounded(request, limit), request.headers.get("content-type"))
    kept = await receive(caller.app_context, caller.actor, caller.actor.student_id, content, caller.at)
    return AttachmentOut.model_validate(kept)


@router.get(
    "/attachments/{attachment_id}",
    response_class=Response,
    responses=documented(401, 403, 404, 422) | file_answer(),
)
async def get_attachment(caller: PhoneCaller, attachment_id: UUID) -> Response:
    """下载附件 · A file about me."""
    content = await read_attachment(caller.app_context, caller.actor, attachment_id, caller.at)
    return download(attachment_id, content)
