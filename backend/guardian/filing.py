"""What the guardian of a minor files, by the services of the student. The student gets a notice of each act."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.appeal.filing import FileAppeal, file_appeal
from backend.appeal.queries import (
    AppealView,
    MessageView,
    load_appeal,
    load_message_views,
    load_messages_page,
)
from backend.appeal.statements import NewMessage, post_message
from backend.core.actor import Actor
from backend.core.ids import new_id
from backend.guardian import texts
from backend.guardian.access import GuardianAccess
from backend.guardian.errors import GuardianAppealOnly
from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.service import post_notice
from backend.standing.claims.queries import ClaimView
from backend.standing.claims.service import FileClaim, file_claim
from backend.standing.prompts.queries import StatementView
from backend.standing.prompts.statements import FileStatement, file_statement


async def file_claim_for_student(
    session: AsyncSession, guardian: GuardianAccess, command: FileClaim, at: datetime
) -> ClaimView:
    """`file_claim` for the student of the link."""
    view = await file_claim(session, guardian.actor, command, at)
    await _tell_student(session, guardian, "claim", {"roll_call_id": command.roll_call_id}, at)
    return view


async def file_statement_for_student(
    session: AsyncSession, guardian: GuardianAccess, command: FileStatement, at: datetime
) -> StatementView:
    """`file_statement` for the student of the link."""
    view = await file_statement(session, guardian.actor, command, at)
    await _tell_student(session, guardian, "statement", {"prompt_id": command.prompt_id}, at)
    return view


async def file_appeal_for_student(
    session: AsyncSession, guardian: GuardianAccess, command: FileAppeal, at: datetime
) -> AppealView:
    """`file_appeal` for the student of the link."""
    appeal = await file_appeal(session, guardian.actor, command, at)
    await _tell_student(session, guardian, "appeal", {"appeal_id": appeal.filed.id}, at)
    return appeal


async def post_message_for_student(
    session: AsyncSession, guardian: GuardianAccess, appeal_id: UUID, content: NewMessage, at: datetime
) -> MessageView:
    """`post_message` in an appeal that a guardian filed. Raises `GuardianAppealOnly` for the student's own."""
    await _require_filed_by_guardian(session, guardian.actor, appeal_id)
    message = await post_message(session, guardian.actor, appeal_id, content, at)
    await _tell_student(session, guardian, "message", {"appeal_id": appeal_id}, at)
    [view] = await load_message_views(session, [message])
    return view


async def load_guardian_messages(
    session: AsyncSession, actor: Actor, appeal_id: UUID, after: UUID | None, limit: int
) -> Sequence[MessageView]:
    """The messages of an appeal that a guardian filed, oldest first. Raises `GuardianAppealOnly` for the student's own."""
    await _require_filed_by_guardian(session, actor, appeal_id)
    return await load_messages_page(session, appeal_id, after, limit)


async def _require_filed_by_guardian(session: AsyncSession, actor: Actor, appeal_id: UUID) -> None:
    """A student may have written in an own appeal what the family is not to know."""
    appeal = await load_appeal(session, actor, appeal_id)
    if appeal.guardian is None:
        raise GuardianAppealOnly


async def _tell_student(
    session: AsyncSession, guardian: GuardianAccess, act: texts.FiledAct, data: dict[str, UUID], at: datetime
) -> None:
    actor = guardian.actor
    assert actor.student_id is not None
    assert actor.school_id is not None
    text = texts.filed_to_student(act, guardian.name, guardian.relation)
    message = Message.of("guardian_filed", new_id(), text, data)
    await post_notice(session, StudentRecipient(actor.student_id, actor.school_id), message, IN_APP, at)
