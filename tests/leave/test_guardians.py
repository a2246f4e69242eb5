"""Guardians are told of leave by SMS, where that was consented to (PIPL, articles 29 and 31)."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.core.ids import new_id
from backend.events import SUBSCRIPTIONS
from backend.identity.consents import GUARDIAN_NOTICE, AnswerConsent, answer_consent, texts_in_force
from backend.identity.errors import GuardianNeeded
from backend.identity.policy import province_policy
from backend.leave.queries import Leave
from backend.notice.inbox import fetch_notices
from backend.notice.settings import get_notice_settings
from backend.notice.tables import NoticeDelivery, NoticeMessage
from backend.people.tables import Guardian, Student
from backend.standing.engine.prompts import PromptKind
from backend.standing.events import PromptRaised
from tests.support.leave import Desk

pytestmark = pytest.mark.clause("HN334-3.5b")

MOTHER, AUNT = "13900000001", "13900000002"


async def family(desk: Desk) -> None:
    """A mother, a father without a phone, and an aunt who is no guardian."""
    members = (("母亲", True, MOTHER), ("父亲", True, None), ("姑姑", False, AUNT))
    async with desk.roll_call_scenario.owner_transaction() as session:
        for position, (relation, is_guardian, phone) in enumerate(members):
            session.add(
                Guardian(
                    id=new_id(),
                    school_id=desk.school.id,
                    student_id=desk.pupil.id,
                    position=position,
                    name=f"家长{position}",
                    relation=relation,
                    is_guardian=is_guardian,
                    phone=phone,
                )
            )


async def consent(desk: Desk, *, granted: bool = True, guardian_name: str | None = None) -> None:
    actor, law = desk.student(), province_policy(desk.roll_call_scenario.app_context, desk.at)
    version = texts_in_force(law)[GUARDIAN_NOTICE]
    command = AnswerConsent(GUARDIAN_NOTICE, granted, version, guardian_name)
    async with desk.transaction(actor) as session:
        await answer_consent(session, actor, command, law, desk.next_act())


async def sent(desk: Desk, group_id: UUID) -> list[tuple[str | None, str | None, dict[str, str]]]:
    """Phone, template and parameters of what goes out by SMS alone."""
    async with desk.roll_call_scenario.owner_transaction() as session:
        rows = await session.execute(
            select(NoticeDelivery.phone, NoticeMessage.sms_template, NoticeMessage.sms_params)
            .join(NoticeMessage, NoticeMessage.id == NoticeDelivery.message_id)
            .where(NoticeDelivery.group_id == group_id, NoticeDelivery.channel == "sms")
        )
        return [(phone, template, params) for phone, template, params in rows]


async def approved(desk: Desk) -> Leave:
    leave = await desk.approved(days=2)
    await desk.deliver("LeaveDecided", leave)
    return leave


async def test_guardian_is_notified_of_approved_leave_without_the_reason(desk: Desk) -> None:
    await family(desk)
    await consent(desk)
    leave = await approved(desk)
    ((phone, template, params),) = await sent(desk, leave.request.id)
    assert (phone, template) == (MOTHER, "guardian_leave")
    assert (params["days"], params["cap"], params["student"]) == ("2", "15", "学同学")
    assert not any("发烧" in value or desk.pupil.name in value for value in params.values())


async def test_guardian_is_not_notified_without_consent(desk: Desk) -> None:
    await family(desk)
    assert await sent(desk, (await approved(desk)).request.id) == []
    await consent(desk)
    await consent(desk, granted=False)
    leave = await desk.approved(first=5)
    await desk.deliver("LeaveDecided", leave)
    assert await sent(desk, leave.request.id) == []


async def test_guardian_is_not_notified_of_declined_leave(desk: Desk) -> None:
    await family(desk)
    await consent(desk)
    leave = await desk.decide(await desk.ask(), "declined", opinion="证明不全")
    await desk.deliver("LeaveDecided", leave)
    assert await sent(desk, leave.request.id) == []


async def test_below_fourteen_the_guardian_consents(desk: Desk) -> None:
    await family(desk)
    born = desk.today - timedelta(days=13 * 365)
    async with desk.roll_call_scenario.owner_transaction() as session:
        await session.execute(update(Student).where(Student.id == desk.pupil.id).values(birth_date=born))
    with pytest.raises(GuardianNeeded):
        await consent(desk)
    await consent(desk, guardian_name="张母")
    assert len(await sent(desk, (await approved(desk)).request.id)) == 1


async def test_guardian_sms_is_not_shown_in_the_students_app(desk: Desk) -> None:
    await family(desk)
    await consent(desk)
    leave = await approved(desk)
    actor = desk.student()
    async with desk.transaction(actor) as session:
        listed = (await fetch_notices(session, actor, desk.at, 20)).items
    kinds = [each.message.kind for each in listed if each.message.group_id == leave.request.id]
    assert kinds == ["leave_decided"]


async def test_guardian_is_notified_when_leave_exceeds_the_limit(desk: Desk) -> None:
    await family(desk)
    await consent(desk)
    await desk.approved(days=16)
    desk.set_clock(days=15, hour=9)
    (consumer,) = [each for each in SUBSCRIPTIONS[PromptRaised] if each.name == "tell_guardians_of_limit"]
    for kind in (PromptKind.MISSES, PromptKind.LEAVE_OVER_CAP):
        prompt_id = new_id()
        event = PromptRaised(
            school_id=desk.school.id,
            student_id=desk.pupil.id,
            path=desk.school.path,
            prompt_id=prompt_id,
            kind=kind,
        )
        async with desk.roll_call_scenario.app_context.database.transaction(consumer.scope(event)) as session:
            await consumer.handle(session, event, desk.at)
        found = [(template, params["days"]) for _, template, params in await sent(desk, prompt_id)]
        assert found == ([("guardian_leave_limit", "16")] if kind is PromptKind.LEAVE_OVER_CAP else [])


def test_every_guardian_text_has_a_registered_template() -> None:
    codes = [get_notice_settings().template_code(name) for name in ("guardian_leave", "guardian_leave_limit")]
    assert len(set(codes)) == 2
