"""Files that the school adds to its open request for a change, such as a proof that a level asked for."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotPermitted
from backend.people.attachments import AttachmentSubject, attach_files
from backend.people.student_lock import lock_student
from backend.standing.change_requests.errors import ChangeClosed
from backend.standing.change_requests.queries import (
    CHANGE_REQUEST,
    ChangeRequestView,
    load_change_request,
)


async def add_request_files(
    session: AsyncSession, actor: Actor, request_id: UUID, attachment_ids: Sequence[UUID], at: datetime
) -> ChangeRequestView:
    """Add uploaded files to an open request of the own school; files are never removed.

    Raises `NotPermitted`, `NotFound`, `ChangeClosed`, and the errors of `attach_files`.
    """
    if actor.role != "registrar":
        raise NotPermitted(
            reason_zh="材料由申报异动的学校补充",
            reason_en="the school that filed the change adds files to it",
        )
    unlocked_view = await load_change_request(session, actor, request_id)
    locked_at = await lock_student(session, unlocked_view.request.student_id, at)
    view = await load_change_request(session, actor, request_id)
    if view.current is None:
        raise ChangeClosed
    request = view.request
    to = AttachmentSubject(CHANGE_REQUEST, request.id, request.school_id, request.student_id)
    await attach_files(session, actor, attachment_ids, to, locked_at)
    after = {"attachments": [str(each) for each in attachment_ids]}
    act = audit.Act("change.files_added", CHANGE_REQUEST, str(request.id), actor.org_path, after=after)
    audit.record(session, act, locked_at)
    return view
