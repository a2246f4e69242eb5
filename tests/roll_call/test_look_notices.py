"""Notices about looks: one for each person and roll call, to those who may answer, and one more before the end."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.core.actor import Actor
from backend.core.bilingual import format_end
from backend.core.ids import new_id
from backend.events import deliver
from backend.identity.tables import Account
from backend.notice.tables import Notice, NoticeMessage
from backend.roll_call import rules
from backend.roll_call.looks import answers
from backend.roll_call.looks.tasks import close_ended_looks, remind_of_expiring_looks
from backend.roll_call.voiding import void_roll_call
from backend.staff_api.roll_calls import looks
from tests.support.roll_call.looks import (
    activate_with_looks,
    load_requests,
    make_faces_unproven,
    reencode_frames,
)
from tests.support.roll_call.scenario import WINDOW, RollCallScenario
from tests.support.roll_call.student_phone import render_burst
from tests.support.staff_client import StaffClient, staff_client

pytestmark = pytest.mark.clause("HN334-3.4")


@pytest.fixture(autouse=True)
def unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    make_faces_unproven(monkeypatch)


@pytest.fixture
async def api(scenario: RollCallScenario) -> AsyncIterator[StaffClient]:
    client = staff_client(scenario.app_context, looks.router)
    yield client
    await client.http.aclose()


async def count_notices(scenario: RollCallScenario, kind: str, roll_call_id: UUID) -> dict[UUID | None, int]:
    """Number of notices of a kind by staff account."""
    async with scenario.owner_transaction() as session:
        rows = await session.execute(
            select(Notice.account_id, func.count())
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.kind == kind, NoticeMessage.data["roll_call_id"].astext == str(roll_call_id))
            .group_by(Notice.account_id)
        )
        return {row[0]: row[1] for row in rows}


async def deliver_requested(scenario: RollCallScenario, roll_call_id: UUID) -> int:
    """Deliver the events of requested looks, each as often as a retried job would; returns their number."""
    events = await scenario.load_events("LooksRequested", roll_call_id)
    for event in events:
        await deliver(scenario.app_context, str(event.id))
        await deliver(scenario.app_context, str(event.id))
    return len(events)


async def bureau_member(scenario: RollCallScenario) -> UUID:
    """An active account of the launching bureau that can receive notices."""
    account_id, city = new_id(), scenario.world.city
    async with scenario.owner_transaction() as session:
        session.add(
            Account(
                id=account_id,
                kind="bureau",
                org_id=city.id,
                org_path=city.path,
                login=f"t{account_id.hex}",
                display_name="某某",
                status="active",
                password_hash="-",
                totp_sealed=b"-",
                created_at=scenario.clock(),
            )
        )
    return account_id


async def staff_of_school(scenario: RollCallScenario) -> tuple[Actor, Actor]:
    """The registrar and the counselor of the first class; another school has a registrar too."""
    await scenario.account("registrar", scenario.world.sister)
    registrar = await scenario.account("registrar", scenario.school)
    return registrar, await scenario.account("counselor", scenario.school, scenario.school.classes[0])


async def test_each_person_of_the_school_is_told_once_for_many_students(scenario: RollCallScenario) -> None:
    registrar, counselor = await staff_of_school(scenario)
    await bureau_member(scenario)
    roll_call_id = (await scenario.launch()).roll_call.id
    for student in await activate_with_looks(scenario, 3):
        await scenario.pass_roll_call(student, roll_call_id)
    assert len(await load_requests(scenario, roll_call_id)) == 3
    assert await deliver_requested(scenario, roll_call_id) == 1
    told = await count_notices(scenario, "look_waiting", roll_call_id)
    assert told == {registrar.account_id: 1, counselor.account_id: 1}


async def test_counselor_of_another_class_is_told_when_a_look_waits_there(scenario: RollCallScenario) -> None:
    registrar, counselor = await staff_of_school(scenario)
    other = await scenario.account("counselor", scenario.school, scenario.school.classes[1])
    roll_call_id = (await scenario.launch()).roll_call.id
    for klass in (0, 1):
        (student,) = await activate_with_looks(scenario, 1, klass)
        await scenario.pass_roll_call(student, roll_call_id)
    assert await deliver_requested(scenario, roll_call_id) == 2
    told = await count_notices(scenario, "look_waiting", roll_call_id)
    assert told == {registrar.account_id: 1, counselor.account_id: 1, other.account_id: 1}


async def test_launching_side_is_told_of_a_doubt_and_the_school_is_not(scenario: RollCallScenario) -> None:
    registrar, counselor = await staff_of_school(scenario)
    member = await bureau_member(scenario)
    launched = await scenario.launch()
    for student in await activate_with_looks(scenario, 2):
        await scenario.verify(
            await scenario.check_in(student, launched.roll_call.id, render_burst(student.person))
        )
    assert await deliver_requested(scenario, launched.roll_call.id) == 0
    scenario.clock.at += WINDOW + timedelta(hours=1)
    await scenario.settle(launched.roll_call)
    assert await deliver_requested(scenario, launched.roll_call.id) == 1
    told = await count_notices(scenario, "look_waiting", launched.roll_call.id)
    assert told[member] == 1
    assert told.keys().isdisjoint({registrar.account_id, counselor.account_id})


async def test_look_beyond_the_quota_is_told_to_the_launching_side(
    scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "compute_attestation_quota", lambda *_: 1)
    registrar, counselor = await staff_of_school(scenario)
    member = await bureau_member(scenario)
    roll_call_id = (await scenario.launch()).roll_call.id
    for student in await activate_with_looks(scenario, 2):
        await scenario.pass_roll_call(student, roll_call_id)
    await deliver_requested(scenario, roll_call_id)
    told = await count_notices(scenario, "look_waiting", roll_call_id)
    assert [told[each] for each in (registrar.account_id, counselor.account_id, member)] == [1, 1, 1]


async def test_voided_roll_call_tells_no_person(scenario: RollCallScenario) -> None:
    await staff_of_school(scenario)
    roll_call_id = (await scenario.launch()).roll_call.id
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(student, roll_call_id)
    async with scenario.app_context.database.transaction(scenario.bureau.scope) as session:
        await void_roll_call(session, scenario.bureau, roll_call_id, "停电", scenario.clock())
    assert await deliver_requested(scenario, roll_call_id) == 1
    assert await count_notices(scenario, "look_waiting", roll_call_id) == {}


async def test_notice_names_the_roll_call_and_the_end_and_no_student(scenario: RollCallScenario) -> None:
    registrar, _ = await staff_of_school(scenario)
    roll_call_id = (await scenario.launch()).roll_call.id
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(student, roll_call_id)
    await deliver_requested(scenario, roll_call_id)
    async with scenario.owner_transaction() as session:
        message = await session.scalar(
            select(NoticeMessage)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .where(Notice.account_id == registrar.account_id, NoticeMessage.kind == "look_waiting")
        )
    (request,) = await load_requests(scenario, roll_call_id)
    assert message is not None
    assert "“学籍核验”" in message.body_zh
    assert format_end(request.expires_at) in message.body_zh
    assert message.data == {"roll_call_id": str(roll_call_id)}


async def test_people_are_reminded_once_on_the_last_day_of_an_open_look(scenario: RollCallScenario) -> None:
    registrar, counselor = await staff_of_school(scenario)
    member = await bureau_member(scenario)
    launched = await scenario.launch()
    (student,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(student, launched.roll_call.id)
    (request,) = await load_requests(scenario, launched.roll_call.id)
    scenario.clock.at = request.expires_at - timedelta(hours=17)
    await remind_of_expiring_looks(scenario.app_context)
    assert await count_notices(scenario, "look_expiring", launched.roll_call.id) == {}
    scenario.clock.at = request.expires_at - timedelta(hours=15)
    await remind_of_expiring_looks(scenario.app_context)
    await remind_of_expiring_looks(scenario.app_context)
    reminded = await count_notices(scenario, "look_expiring", launched.roll_call.id)
    assert reminded == {registrar.account_id: 1, counselor.account_id: 1}
    assert member not in reminded


async def test_answered_look_is_not_reminded(api: StaffClient, scenario: RollCallScenario) -> None:
    _, counselor = await staff_of_school(scenario)
    roll_call_id = (await scenario.launch()).roll_call.id
    (answered,) = await activate_with_looks(scenario, 1)
    await scenario.pass_roll_call(answered, roll_call_id)
    await reencode_frames(scenario)
    (look,) = await load_requests(scenario, roll_call_id)
    for picture in (*look.shown_frames, "portrait"):
        await api.get(counselor, f"/v1/looks/{look.id}/pictures/{picture}")
    assert (await api.post(counselor, f"/v1/looks/{look.id}/answer", {"same": "yes"})).status_code == 201
    scenario.clock.at = look.expires_at - timedelta(hours=1)
    await remind_of_expiring_looks(scenario.app_context)
    assert await count_notices(scenario, "look_expiring", roll_call_id) == {}


async def test_overdue_reviews_of_a_roll_call_are_reported_once_to_each_person(
    api: StaffClient, scenario: RollCallScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "is_sampled", lambda *_: True)
    _, counselor = await staff_of_school(scenario)
    member = await bureau_member(scenario)
    roll_call_id = (await scenario.launch()).roll_call.id
    for student in await activate_with_looks(scenario, 2):
        await scenario.pass_roll_call(student, roll_call_id)
    await reencode_frames(scenario)
    for look in await load_requests(scenario, roll_call_id):
        for picture in (*look.shown_frames, "portrait"):
            await api.get(counselor, f"/v1/looks/{look.id}/pictures/{picture}")
        assert (await api.post(counselor, f"/v1/looks/{look.id}/answer", {"same": "yes"})).status_code == 201
    reviews = [each for each in await load_requests(scenario, roll_call_id) if each.reviews is not None]
    assert len(reviews) == 2
    scenario.clock.at = max(each.expires_at for each in reviews)
    await close_ended_looks(scenario.app_context)
    assert (await count_notices(scenario, "look_review_overdue", roll_call_id))[member] == 1
