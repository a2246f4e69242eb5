"""Students say something to their prompts, with files, while these are open; it stands on the case."""

from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.people.attachment_errors import AttachmentUnusable
from backend.people.attachment_files import Content, receive
from backend.standing.prompts.errors import PromptDecided
from backend.standing.prompts.queries import PromptFile, StatementView, prompt_file
from backend.standing.prompts.statements import FileStatement, file_statement
from tests.support.standing.prompt_actions import decide, received
from tests.support.standing.prompts import prompted
from tests.support.standing.scenario import Registry

pytestmark = pytest.mark.clause("HN334-4.1b")


async def say(registry: Registry, actor: Actor, prompt_id: UUID, text: str, *files: UUID) -> StatementView:
    command = FileStatement(prompt_id, text, files)
    async with registry.transaction(actor) as session:
        return await file_statement(session, actor, command, registry.at)


async def seen(registry: Registry, actor: Actor, prompt_id: UUID) -> PromptFile:
    async with registry.transaction(actor) as session:
        return await prompt_file(session, actor, prompt_id, registry.at)


async def upload(registry: Registry, actor: Actor) -> UUID:
    assert actor.student_id is not None
    content = Content("application/pdf", b"%PDF-1.4 synthetic")
    return (await receive(registry.app_context, actor, actor.student_id, content, registry.at)).id


@pytest.mark.parametrize("who", ["registrar", "counselor", "bureau", "student"])
async def test_what_the_student_said_is_on_the_case_in_order(registry: Registry, who: str) -> None:
    prompt_id, student = await prompted(registry), registry.student()
    for text in ("当天在医院陪护", "补充：住院证明已开具"):
        await say(registry, student, prompt_id, text)
    reader = student if who == "student" else getattr(registry, who)
    found = await seen(registry, reader, prompt_id)
    assert [view.statement.text for view in found.statements] == ["当天在医院陪护", "补充：住院证明已开具"]


async def test_files_hang_on_the_statement(registry: Registry) -> None:
    prompt_id, student = await prompted(registry), registry.student()
    attachment_id = await upload(registry, student)
    await say(registry, student, prompt_id, "附住院证明", attachment_id)
    [view] = (await seen(registry, registry.registrar, prompt_id)).statements
    assert [each.id for each in view.attachments] == [attachment_id]


async def test_a_classmates_file_hangs_on_nothing(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    classmate = registry.student(registry.school.students[1])
    attachment_id = await upload(registry, classmate)
    with pytest.raises(AttachmentUnusable):
        await say(registry, registry.student(), prompt_id, "附证明", attachment_id)


async def test_nothing_is_said_to_a_prompt_that_is_closed(registry: Registry) -> None:
    prompt_id = await received(registry)
    await decide(registry, prompt_id)
    with pytest.raises(PromptDecided):
        await say(registry, registry.student(), prompt_id, "请再考虑")


async def test_a_classmates_prompt_is_nobodys(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    classmate = registry.student(registry.school.students[1])
    with pytest.raises(NotFound):
        await say(registry, classmate, prompt_id, "我也想说")
    with pytest.raises(NotFound):
        await seen(registry, classmate, prompt_id)


async def test_staff_do_not_speak_for_the_student(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    with pytest.raises(NotPermitted):
        await say(registry, registry.counselor, prompt_id, "该生表现良好")
