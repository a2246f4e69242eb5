"""Files about students: uploaded by staff for a matter, and read by whoever may see the matter."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import and_

from backend.core.web.problems import documented
from backend.core.web.requests import read_bounded
from backend.identity.attachment_inspection import MEDIA_TYPES, looked_into
from backend.leave.queries import LEAVE_FILES, classes_in_care
from backend.people.attachment_schemas import AttachmentOut, download, file_answer, file_body
from backend.people.attachments import file_law, read_attachment, receive
from backend.people.tables import AttachmentLink, Student
from backend.staff_api.caller import StaffCaller

router = APIRouter(prefix="/v1", tags=["附件 · attachments"])


@router.post(
    "/attachments",
    status_code=201,
    responses=documented(401, 403, 404, 413, 415, 422, 429),
    openapi_extra=file_body(MEDIA_TYPES),
)
async def post_attachment(
    caller: StaffCaller,
    request: Request,
    student_id: Annotated[UUID, Query(description="附件所涉学生 · whom the file is about")],
) -> AttachmentOut:
    """上传附件（JPEG、PNG 或 PDF），随后在相关请求中引用 · Upload a file about a student, to be named in a later request.

    What no request names within a day is deleted.
    """
    limit = file_law(caller.actor, caller.at).integer("attachment.size_limit")
    content = await looked_into(await read_bounded(request, limit), request.headers.get("content-type"))
    return AttachmentOut.model_validate(
        await receive(caller.app_context, caller.actor, student_id, content, caller.at)
    )


@router.get(
    "/attachments/{attachment_id}",
    response_class=Response,
    responses=documented(401, 403, 404, 422) | file_answer(),
)
async def get_attachment(caller: StaffCaller, attachment_id: UUID) -> Response:
    """下载附件 · A file of a matter that the caller may see; that it was read is recorded."""
    standing_in = and_(
        AttachmentLink.subject_type == LEAVE_FILES,
        classes_in_care(caller.actor, Student.class_id.expression, caller.at),
    )
    content = await read_attachment(caller.app_context, caller.actor, attachment_id, caller.at, standing_in)
    return download(attachment_id, content)
