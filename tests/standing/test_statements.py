"""Statements of students on their open prompts, with files."""

from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.people.attachment_errors import AttachmentUnusable
from backend.people.attachment_files import FileContent, store_upload
from backend.standing.prompts.errors import PromptDecided
from backend.standing.prompts.queries import PromptDetail, StatementView, load_prompt_detail
from backend.standing.prompts.statements import FileStatement, file_statement
from tests.support.standing.prompt_actions import decide, raise_received_prompt
from tests.support.standing.prompts import raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("HN334-4.1b")


async def file_statement_as(
    scenario: StandingScenario, actor: Actor, prompt_id: UUID, text: str, *files: UUID
) -> StatementView:
    command = FileStatement(prompt_id, text, files)
    async with scenario.transaction(actor) as session:
        return await file_statement(session, actor, command, scenario.at)


async def load_detail(scenario: StandingScenario, actor: Actor, prompt_id: UUID) -> PromptDetail:
    async with scenario.transaction(actor) as session:
        return await load_prompt_detail(session, actor, prompt_id, scenario.at)


async def upload_file(scenario: StandingScenario, actor: Actor) -> UUID:
    assert actor.student_id is not None
    content = FileContent("application/pdf", b"%PDF-1.4 synthetic")
    return (await store_upload(scenario.app_context, actor, actor.student_id, content, scenario.at)).id


@pytest.mark.parametrize("who", ["registrar", "counselor", "bureau", "student"])
async def test_statements_are_shown_in_order(scenario: StandingScenario, who: str) -> None:
    prompt_id, student = await raise_prompt(scenario), scenario.student()
    for text in ("当天在医院陪护", "补充：住院证明已开具"):
        await file_statement_as(scenario, student, prompt_id, text)
    reader = student if who == "student" else getattr(scenario, who)
    found = await load_detail(scenario, reader, prompt_id)
    assert [view.statement.text for view in found.statements] == ["当天在医院陪护", "补充：住院证明已开具"]


async def test_files_are_attached_to_the_statement(scenario: StandingScenario) -> None:
    prompt_id, student = await raise_prompt(scenario), scenario.student()
    attachment_id = await upload_file(scenario, student)
    await file_statement_as(scenario, student, prompt_id, "附住院证明", attachment_id)
    [view] = (await load_detail(scenario, scenario.registrar, prompt_id)).statements
    assert [each.id for each in view.attachments] == [attachment_id]


async def test_a_classmates_file_cannot_be_attached(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    classmate = scenario.student(scenario.school.students[1])
    attachment_id = await upload_file(scenario, classmate)
    with pytest.raises(AttachmentUnusable):
        await file_statement_as(scenario, scenario.student(), prompt_id, "附证明", attachment_id)


async def test_a_closed_prompt_accepts_no_statement(scenario: StandingScenario) -> None:
    prompt_id = await raise_received_prompt(scenario)
    await decide(scenario, prompt_id)
    with pytest.raises(PromptDecided):
        await file_statement_as(scenario, scenario.student(), prompt_id, "请再考虑")


async def test_a_classmates_prompt_is_not_found(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    classmate = scenario.student(scenario.school.students[1])
    with pytest.raises(NotFound):
        await file_statement_as(scenario, classmate, prompt_id, "我也想说")
    with pytest.raises(NotFound):
        await load_detail(scenario, classmate, prompt_id)


async def test_staff_cannot_file_statements(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    with pytest.raises(NotPermitted):
        await file_statement_as(scenario, scenario.counselor, prompt_id, "该生表现良好")
