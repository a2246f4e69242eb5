"""What both sides say and who has read it; the term, its reminders, and what is overdue."""

from datetime import datetime, timedelta

import pytest

from backend.appeal import queries
from backend.appeal.errors import AppealClosed, MessagesExhausted, NotTheDecidingUnit
from backend.appeal.filing import AgainstCheck
from backend.appeal.policy import AppealPolicy
from backend.appeal.statements import Said
from backend.appeal.tables import AppealDue, AppealReminder
from backend.appeal.tasks import watch_open_appeals
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.org.calendar import official_calendar
from backend.org.calendars import working_calendar
from backend.people.attachment_files import Content, receive
from tests.support.appeal import Docket

pytestmark = pytest.mark.clause("HN334-4.2")


async def test_both_sides_write_and_each_sees_what_the_other_has_read(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    await docket.say(appeal, docket.province)
    await docket.say(appeal, docket.student, "已补充。")
    await docket.read(appeal, docket.province)
    for bystander in (docket.city, docket.registry.registrar):
        await docket.read(appeal, bystander)
    assert await docket.said(appeal) == [
        ("appellant", "当天在校实训，有考勤记录为证。", True),
        ("unit", "请补充当日考勤。", False),
        ("appellant", "已补充。", True),
    ]
    await docket.read(appeal, docket.student)
    assert [read for _, _, read in await docket.said(appeal)] == [True, True, True]


async def test_files_hang_on_what_is_said(docket: Docket) -> None:
    app_context, pupil = docket.registry.app_context, docket.registry.pupil
    content = Content("application/pdf", b"%PDF-1.7 attendance")
    file = await receive(app_context, docket.student, pupil.id, content, docket.registry.at)
    [missed] = await docket.registry.misses(1)
    appeal = await docket.file(AgainstCheck(missed.id), grounds=Said("见附件。", [file.id]))
    async with docket.registry.transaction(docket.province) as session:
        [row] = await queries.messages_page(session, appeal.filed.id, None, 10)
    assert [(each.id, each.media_type) for each in row.attachments] == [(file.id, "application/pdf")]


async def test_the_other_side_is_told_of_a_message(docket: Docket) -> None:
    province = await docket.authority(docket.registry.stage.world.province)
    registrar = await docket.registry.stage.account("registrar", docket.registry.school)
    [missed] = await docket.registry.misses(1)
    ours = await docket.against_check(missed)
    schools = await docket.against_check(missed, docket.registry.registrar)
    await docket.say(ours, docket.province)
    await docket.say(schools, docket.province)
    await docket.say(schools, docket.registry.registrar)
    await docket.registry.run_events("AppealMessagePosted")
    assert await docket.told(ours, "appeal_message") == {docket.registry.pupil.id}
    assert await docket.told(schools, "appeal_message") >= {registrar.account_id, province.account_id}


async def test_only_the_appellant_and_the_deciding_unit_write_while_it_is_open(docket: Docket) -> None:
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    with pytest.raises(NotTheDecidingUnit):
        await docket.say(appeal, docket.city)
    with pytest.raises(NotPermitted):
        await docket.say(appeal, docket.registry.registrar)
    with pytest.raises(NotFound):
        await docket.say(appeal, docket.registry.student(docket.registry.school.students[1]))
    await docket.reject(appeal)
    with pytest.raises(AppealClosed):
        await docket.say(appeal, docket.student)


async def test_a_side_has_a_limit_of_messages(docket: Docket, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = AppealPolicy(working_days=15, reminders=(10,), messages=2, gaokao_month=9)
    monkeypatch.setattr(AppealPolicy, "on", classmethod(lambda *_: figures))
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    await docket.say(appeal, docket.student)
    with pytest.raises(MessagesExhausted):
        await docket.say(appeal, docket.student)
    await docket.say(appeal, docket.province)


@pytest.mark.clause("R7")
async def test_the_deciding_unit_is_reminded_once_and_an_overdue_appeal_is_shown(docket: Docket) -> None:
    registry = docket.registry
    province = await docket.authority(registry.stage.world.province)
    city = await docket.authority(registry.stage.world.city)
    appeal = await docket.against_check(await registry.check(actor=docket.province))
    filed_on = legal_day(appeal.filed.filed_at)
    await _on_working_day(docket, appeal.filed.filed_at, 10)
    for _ in range(2):
        await watch_open_appeals(registry.app_context)
    assert city.account_id in await docket.told(appeal, "appeal_due")
    assert province.account_id not in await docket.told(appeal, "appeal_due")
    assert await registry.count(AppealReminder) == 1
    assert await docket.listed(docket.city, overdue=True, student_id=registry.pupil.id) == []
    await _on_working_day(docket, appeal.filed.filed_at, 16)
    await watch_open_appeals(registry.app_context)
    assert await docket.told(appeal, "appeal_overdue") >= {city.account_id, province.account_id}
    for superior in (docket.city, docket.province):
        assert appeal.filed.id in await docket.listed(superior, overdue=True)
    assert appeal.filed.id in await docket.listed(docket.city, to_decide=True)
    assert appeal.filed.id not in await docket.listed(docket.province, to_decide=True)
    assert appeal.due_at is not None
    assert legal_day(appeal.due_at - timedelta(seconds=1)) == official_calendar().add_working_days(
        filed_on, 15
    )
    await docket.reject(appeal, docket.city)
    assert await docket.listed(docket.city, overdue=True, student_id=registry.pupil.id) == []


@pytest.mark.clause("R7")
async def test_without_the_calendar_an_appeal_is_taken_and_its_term_computed_when_the_year_is_loaded(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_loaded(_: object) -> object:
        return type(official_calendar())([])

    monkeypatch.setattr(queries, "working_calendar", nothing_loaded)
    [missed] = await docket.registry.misses(1)
    appeal = await docket.against_check(missed)
    assert await docket.registry.rows(AppealDue) == []
    async with docket.registry.transaction(docket.student) as session:
        due = await queries.due_of(session, appeal, docket.registry.school.path)
    assert (due.at, due.missing_year) == (None, docket.registry.today.year)
    monkeypatch.setattr(queries, "working_calendar", working_calendar)
    await watch_open_appeals(docket.registry.app_context)
    assert len(await docket.registry.rows(AppealDue)) == 1


async def _on_working_day(docket: Docket, filed_at: datetime, number: int) -> None:
    day = official_calendar().add_working_days(legal_day(filed_at), number)
    docket.registry.set_clock(days=(day - docket.registry.today).days, hour=9)
