"""Files that a school adds to its open request for a change: who may, until when, and who reads them."""

from uuid import UUID

import pytest

from backend.core.actor import Actor
from backend.core.errors import NotFound, NotPermitted
from backend.people.attachment_errors import AttachmentUnusable, TooManyAttachments
from backend.people.attachment_files import FileContent, read_attachment, store_upload
from backend.people.attachments import load_attachments
from backend.standing.change_requests.errors import ChangeClosed
from backend.standing.change_requests.queries import CHANGE_REQUEST, ChangeRequestView
from backend.standing.change_requests.supplements import add_request_files
from tests.support.province import counselor_account, registrar_account
from tests.support.standing.change_requests import ChangeRequestScenario
from tests.support.standing.scenario import StandingScenario

pytestmark = pytest.mark.clause("MOE19-2.3b")
PDF = FileContent("application/pdf", b"%PDF-1.7\n%%EOF\n")


@pytest.fixture
def changes(scenario: StandingScenario) -> ChangeRequestScenario:
    return ChangeRequestScenario(scenario)


async def upload(changes: ChangeRequestScenario, actor: Actor, student_id: UUID | None = None) -> UUID:
    scenario = changes.scenario
    student_id = student_id or changes.pupil.id
    return (await store_upload(scenario.app_context, actor, student_id, PDF, scenario.at)).id


async def add(
    changes: ChangeRequestScenario, actor: Actor, view: ChangeRequestView, *attachment_ids: UUID
) -> None:
    async with changes.scenario.transaction(actor) as session:
        await add_request_files(session, actor, view.request.id, attachment_ids, changes.scenario.at)


async def load_files(changes: ChangeRequestScenario, view: ChangeRequestView) -> list[UUID]:
    async with changes.scenario.transaction(changes.bureau) as session:
        files = await load_attachments(session, CHANGE_REQUEST, [view.request.id])
    return [each.id for each in files[view.request.id]]


async def test_files_are_added_after_the_earlier_ones_and_the_superior_opens_them(
    changes: ChangeRequestScenario,
) -> None:
    view = await changes.file("11")
    first, second = [await upload(changes, changes.registrar) for _ in range(2)]
    await add(changes, changes.registrar, view, first)
    await add(changes, changes.colleague, view, second)
    assert await load_files(changes, view) == [first, second]
    scenario = changes.scenario
    content = await read_attachment(scenario.app_context, changes.bureau, second, scenario.at)
    assert content == PDF


async def test_only_the_school_that_filed_adds_files(changes: ChangeRequestScenario) -> None:
    view, scenario = await changes.file("11"), changes.scenario
    file = await upload(changes, changes.registrar)
    counselor = counselor_account(scenario.school, scenario.school.classes[0])
    for actor in (changes.bureau, changes.province, counselor):
        with pytest.raises(NotPermitted):
            await add(changes, actor, view, file)
    with pytest.raises(NotFound):
        await add(changes, registrar_account(scenario.roll_call_scenario.world.sister), view, file)
    assert await load_files(changes, view) == []


async def test_a_closed_request_takes_no_more_files(changes: ChangeRequestScenario) -> None:
    view = await changes.file("11")
    file = await upload(changes, changes.registrar)
    await changes.answer(view, changes.bureau)
    with pytest.raises(ChangeClosed):
        await add(changes, changes.registrar, view, file)


async def test_the_limit_of_files_counts_the_earlier_ones(changes: ChangeRequestScenario) -> None:
    view = await changes.file("11")
    files = [await upload(changes, changes.registrar) for _ in range(10)]
    await add(changes, changes.registrar, view, *files[:9])
    with pytest.raises(TooManyAttachments):
        await add(changes, changes.registrar, view, files[9])
    assert await load_files(changes, view) == files[:9]


async def test_files_about_another_student_or_used_before_are_refused(
    changes: ChangeRequestScenario,
) -> None:
    view = await changes.file("11")
    other = await upload(changes, changes.registrar, changes.scenario.school.students[1].id)
    used = await upload(changes, changes.registrar)
    await add(changes, changes.registrar, view, used)
    for file in (other, used):
        with pytest.raises(AttachmentUnusable):
            await add(changes, changes.registrar, view, file)
