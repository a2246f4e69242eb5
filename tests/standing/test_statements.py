"""Statements of students on their open prompts, with files."""

from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.people.attachment_errors import AttachmentUnusable
from backend.people.attachment_files import Content, receive
from backend.standing.prompts.errors import PromptDecided
from backend.standing.prompts.queries import PromptDetail, StatementView, prompt_file
from backend.standing.prompts.statements import FileStatement, file_statement
from tests.support.standing.prompt_actions import decide, raise_received_prompt
from tests.support.standing.prompts import prompted
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("HN334-4.1b")


async def file_statement_as(
    registry: Registry, actor: Actor, prompt_id: UUID, text: str, *files: UUID
) -> StatementView:
    command = FileStatement(prompt_id, text, files)
    async with registry.transaction(actor) as session:
        return await file_statement(session, actor, command, registry.at)


async def load_detail(registry: Registry, actor: Actor, prompt_id: UUID) -> PromptDetail:
    async with registry.transaction(actor) as session:
        return await prompt_file(session, actor, prompt_id, registry.at)


async def upload_file(registry: Registry, actor: Actor) -> UUID:
    assert actor.student_id is not None
    content = Content("application/pdf", b"%PDF-1.4 synthetic")
    return (await receive(registry.app_context, actor, actor.student_id, content, registry.at)).id


@pytest.mark.parametrize("who", ["registrar", "counselor", "bureau", "student"])
async def test_statements_are_shown_in_order(registry: Registry, who: str) -> None:
    prompt_id, student = await prompted(registry), registry.student()
    for text in ("当天在医院陪护", "补充：住院证明已开具"):
        await file_statement_as(registry, student, prompt_id, text)
    reader = student if who == "student" else getattr(registry, who)
    found = await load_detail(registry, reader, prompt_id)
    assert [view.statement.text for view in found.statements] == ["当天在医院陪护", "补充：住院证明已开具"]


async def test_files_are_attached_to_the_statement(registry: Registry) -> None:
    prompt_id, student = await prompted(registry), registry.student()
    attachment_id = await upload_file(registry, student)
    await file_statement_as(registry, student, prompt_id, "附住院证明", attachment_id)
    [view] = (await load_detail(registry, registry.registrar, prompt_id)).statements
    assert [each.id for each in view.attachments] == [attachment_id]


async def test_a_classmates_file_cannot_be_attached(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    classmate = registry.student(registry.school.students[1])
    attachment_id = await upload_file(registry, classmate)
    with pytest.raises(AttachmentUnusable):
        await file_statement_as(registry, registry.student(), prompt_id, "附证明", attachment_id)


async def test_a_closed_prompt_accepts_no_statement(registry: Registry) -> None:
    prompt_id = await raise_received_prompt(registry)
    await decide(registry, prompt_id)
    with pytest.raises(PromptDecided):
        await file_statement_as(registry, registry.student(), prompt_id, "请再考虑")


async def test_a_classmates_prompt_is_not_found(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    classmate = registry.student(registry.school.students[1])
    with pytest.raises(NotFound):
        await file_statement_as(registry, classmate, prompt_id, "我也想说")
    with pytest.raises(NotFound):
        await load_detail(registry, classmate, prompt_id)


async def test_staff_cannot_file_statements(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    with pytest.raises(NotPermitted):
        await file_statement_as(registry, registry.counselor, prompt_id, "该生表现良好")
