"""Messages of both sides with their read marks; the deadline, its reminders and the overdue list."""

from datetime import datetime, timedelta

import pytest

from backend.appeal import queries
from backend.appeal.errors import AppealClosed, MessagesExhausted, NotTheDecidingUnit
from backend.appeal.filing import AgainstCheck
from backend.appeal.policy import AppealPolicy
from backend.appeal.statements import NewMessage
from backend.appeal.tables import AppealDue, AppealReminder
from backend.appeal.tasks import check_open_appeals
from backend.core.clock import legal_day
from backend.core.errors import NotFound, NotPermitted
from backend.org.calendar import official_calendar
from backend.org.calendar_years import get_working_calendar
from backend.people.attachment_files import FileContent, store_upload
from tests.support.appeal import AppealScenario

pytestmark = pytest.mark.clause("HN334-4.2")


async def test_both_sides_post_messages_and_see_read_marks(appeals: AppealScenario) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    await appeals.post_message(appeal, appeals.province)
    await appeals.post_message(appeal, appeals.student, "已补充。")
    await appeals.mark_read(appeal, appeals.province)
    for bystander in (appeals.city, appeals.standing_scenario.registrar):
        await appeals.mark_read(appeal, bystander)
    assert await appeals.load_messages(appeal) == [
        ("appellant", "当天在校实训，有考勤记录为证。", True),
        ("unit", "请补充当日考勤。", False),
        ("appellant", "已补充。", True),
    ]
    await appeals.mark_read(appeal, appeals.student)
    assert [read for _, _, read in await appeals.load_messages(appeal)] == [True, True, True]


async def test_files_are_attached_to_messages(appeals: AppealScenario) -> None:
    app_context, pupil = appeals.standing_scenario.app_context, appeals.standing_scenario.pupil
    content = FileContent("application/pdf", b"%PDF-1.7 attendance")
    file = await store_upload(app_context, appeals.student, pupil.id, content, appeals.standing_scenario.at)
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.file(AgainstCheck(missed.id), grounds=NewMessage("见附件。", [file.id]))
    async with appeals.standing_scenario.transaction(appeals.province) as session:
        [row] = await queries.load_messages_page(session, appeal.filed.id, None, 10)
    assert [(each.id, each.media_type) for each in row.attachments] == [(file.id, "application/pdf")]


async def test_a_message_notifies_the_other_side(appeals: AppealScenario) -> None:
    province = await appeals.create_authority(appeals.standing_scenario.roll_call_scenario.world.province)
    registrar = await appeals.standing_scenario.roll_call_scenario.account(
        "registrar", appeals.standing_scenario.school
    )
    [missed] = await appeals.standing_scenario.misses(1)
    ours = await appeals.against_check(missed)
    schools = await appeals.against_check(missed, appeals.standing_scenario.registrar)
    await appeals.post_message(ours, appeals.province)
    await appeals.post_message(schools, appeals.province)
    await appeals.post_message(schools, appeals.standing_scenario.registrar)
    await appeals.standing_scenario.run_events("AppealMessagePosted")
    assert await appeals.load_recipients(ours, "appeal_message") == {appeals.standing_scenario.pupil.id}
    assert await appeals.load_recipients(schools, "appeal_message") >= {
        registrar.account_id,
        province.account_id,
    }


async def test_only_the_two_sides_write_while_the_appeal_is_open(
    appeals: AppealScenario,
) -> None:
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    with pytest.raises(NotTheDecidingUnit):
        await appeals.post_message(appeal, appeals.city)
    with pytest.raises(NotPermitted):
        await appeals.post_message(appeal, appeals.standing_scenario.registrar)
    with pytest.raises(NotFound):
        await appeals.post_message(
            appeal, appeals.standing_scenario.student(appeals.standing_scenario.school.students[1])
        )
    await appeals.reject(appeal)
    with pytest.raises(AppealClosed):
        await appeals.post_message(appeal, appeals.student)


async def test_each_side_has_a_message_limit(
    appeals: AppealScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = AppealPolicy(working_days=15, reminders=(10,), messages=2, gaokao_month=9)
    monkeypatch.setattr(AppealPolicy, "on", classmethod(lambda *_: figures))
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    await appeals.post_message(appeal, appeals.student)
    with pytest.raises(MessagesExhausted):
        await appeals.post_message(appeal, appeals.student)
    await appeals.post_message(appeal, appeals.province)


@pytest.mark.clause("R7")
async def test_the_deciding_unit_is_reminded_once_and_overdue_is_listed(
    appeals: AppealScenario,
) -> None:
    standing_scenario = appeals.standing_scenario
    province = await appeals.create_authority(standing_scenario.roll_call_scenario.world.province)
    city = await appeals.create_authority(standing_scenario.roll_call_scenario.world.city)
    appeal = await appeals.against_check(await standing_scenario.check(actor=appeals.province))
    filed_on = legal_day(appeal.filed.filed_at)
    await _move_to_working_day(appeals, appeal.filed.filed_at, 10)
    for _ in range(2):
        await check_open_appeals(standing_scenario.app_context)
    assert city.account_id in await appeals.load_recipients(appeal, "appeal_due")
    assert province.account_id not in await appeals.load_recipients(appeal, "appeal_due")
    assert await standing_scenario.count(AppealReminder) == 1
    assert await appeals.list_ids(appeals.city, overdue=True, student_id=standing_scenario.pupil.id) == []
    await _move_to_working_day(appeals, appeal.filed.filed_at, 16)
    await check_open_appeals(standing_scenario.app_context)
    assert await appeals.load_recipients(appeal, "appeal_overdue") >= {city.account_id, province.account_id}
    for superior in (appeals.city, appeals.province):
        assert appeal.filed.id in await appeals.list_ids(superior, overdue=True)
    assert appeal.filed.id in await appeals.list_ids(appeals.city, to_decide=True)
    assert appeal.filed.id not in await appeals.list_ids(appeals.province, to_decide=True)
    assert appeal.due_at is not None
    assert legal_day(appeal.due_at - timedelta(seconds=1)) == official_calendar().add_working_days(
        filed_on, 15
    )
    await appeals.reject(appeal, appeals.city)
    assert await appeals.list_ids(appeals.city, overdue=True, student_id=standing_scenario.pupil.id) == []


@pytest.mark.clause("R7")
async def test_the_deadline_is_computed_once_the_calendar_is_loaded(
    appeals: AppealScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_loaded(_: object) -> object:
        return type(official_calendar())([])

    monkeypatch.setattr(queries, "get_working_calendar", nothing_loaded)
    [missed] = await appeals.standing_scenario.misses(1)
    appeal = await appeals.against_check(missed)
    assert await appeals.standing_scenario.rows(AppealDue) == []
    async with appeals.standing_scenario.transaction(appeals.student) as session:
        due = await queries.load_deadline(session, appeal, appeals.standing_scenario.school.path)
    assert (due.at, due.missing_year) == (None, appeals.standing_scenario.today.year)
    monkeypatch.setattr(queries, "get_working_calendar", get_working_calendar)
    await check_open_appeals(appeals.standing_scenario.app_context)
    assert len(await appeals.standing_scenario.rows(AppealDue)) == 1


async def _move_to_working_day(appeals: AppealScenario, filed_at: datetime, number: int) -> None:
    day = official_calendar().add_working_days(legal_day(filed_at), number)
    appeals.standing_scenario.set_clock(days=(day - appeals.standing_scenario.today).days, hour=9)
