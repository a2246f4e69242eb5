"""The student's written statements on a prompt, which the deciding account reads."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core import audit
from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.people.attachments import AttachmentSubject, attach_files, load_attachments
from backend.people.student_lock import lock_student
from backend.people.tables import GuardianLink
from backend.standing.engine.prompts import OPEN_STATES, PromptState
from backend.standing.prompts.errors import OBJECTION_ERRORS
from backend.standing.prompts.queries import StatementView
from backend.standing.store.tables import PromptRecord, PromptStatement, PromptStep


@dataclass(frozen=True, slots=True)
class FileStatement:
    """A statement with files on one prompt."""

    prompt_id: UUID
    text: str
    attachment_ids: tuple[UUID, ...] = ()


async def file_statement(
    session: AsyncSession, actor: Actor, command: FileStatement, at: datetime
) -> StatementView:
    """Add a statement to the student's own open prompt. There is no limit, and a statement has no effect by itself.

    Raises `NotFound`, and the error of the prompt's state if it is closed.
    """
    if actor.role != "student" or actor.student_id is None:
        raise NotPermitted(reason_zh="由学生本人陈述", reason_en="only the student may make a statement")
    prompt = await session.get(PromptRecord, command.prompt_id)
    if prompt is None or prompt.student_id != actor.student_id:
        raise NotFound
    locked_at = await lock_student(session, prompt.student_id, at)
    states = select(PromptStep.state).where(PromptStep.prompt_id == prompt.id).order_by(PromptStep.seq.desc())
    state = PromptState((await session.scalars(states.limit(1))).one())
    if state not in OPEN_STATES:
        raise OBJECTION_ERRORS[f"prompt_{state}"]
    statement = PromptStatement(
        id=new_id(),
        prompt_id=prompt.id,
        school_id=prompt.school_id,
        student_id=prompt.student_id,
        text=command.text,
        filed_by=actor.account_id,
        guardian_link_id=actor.guardian_link_id,
        at=locked_at,
    )
    session.add(statement)
    await session.flush()
    to = AttachmentSubject("prompt_statement", statement.id, prompt.school_id, prompt.student_id)
    await attach_files(session, actor, command.attachment_ids, to, locked_at)
    after = {
        "prompt": str(prompt.id),
        "attachments": len(command.attachment_ids),
        **actor.guardian_fields,
    }
    act = audit.Act("prompt.statement", "prompt_statement", str(statement.id), actor.org_path, after=after)
    audit.record(session, act, locked_at)
    files = await load_attachments(session, "prompt_statement", [statement.id])
    link_id = statement.guardian_link_id
    link = await session.get(GuardianLink, link_id) if link_id else None
    return StatementView(statement, files[statement.id], link)
