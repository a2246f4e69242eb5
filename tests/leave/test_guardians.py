"""Guardians are told of leave by SMS, where that was consented to (PIPL, articles 29 and 31)."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.events import SUBSCRIPTIONS
from backend.identity.consents import GUARDIAN_NOTICE, AnswerConsent, answer_consent, current_text_versions
from backend.identity.errors import GuardianNeeded
from backend.identity.policy import province_policy
from backend.leave.queries import Leave
from backend.notice.inbox import fetch_notices
from backend.notice.settings import get_notice_settings
from backend.notice.tables import NoticeDelivery, NoticeMessage
from backend.people.tables import Guardian, Student
from backend.standing.engine.prompts import PromptKind
from backend.standing.events import PromptRaised
from tests.support.leave import LeaveScenario

pytestmark = pytest.mark.clause("HN334-3.5b")

MOTHER, AUNT = "13900000001", "13900000002"


async def family(scenario: LeaveScenario) -> None:
    """A mother, a father without a phone, and an aunt who is no guardian."""
    members = (("母亲", True, MOTHER), ("父亲", True, None), ("姑姑", False, AUNT))
    async with scenario.roll_call_scenario.owner_transaction() as session:
        for position, (relation, is_guardian, phone) in enumerate(members):
            session.add(
                Guardian(
                    id=new_id(),
                    school_id=scenario.school.id,
                    student_id=scenario.pupil.id,
                    position=position,
                    name=f"家长{position}",
                    relation=relation,
                    is_guardian=is_guardian,
                    phone=phone,
                )
            )


async def consent(scenario: LeaveScenario, *, granted: bool = True, guardian_name: str | None = None) -> None:
    actor, law = scenario.student(), province_policy(scenario.roll_call_scenario.app_context, scenario.at)
    version = current_text_versions(law)[GUARDIAN_NOTICE]
    command = AnswerConsent(GUARDIAN_NOTICE, granted, version, guardian_name)
    async with scenario.transaction(actor) as session:
        await answer_consent(session, actor, command, law, scenario.next_act())


async def sent(
    scenario: LeaveScenario, group_id: UUID
) -> list[tuple[str | None, str | None, dict[str, str]]]:
    """Phone, template and parameters of what goes out by SMS alone."""
    async with scenario.roll_call_scenario.owner_transaction() as session:
        rows = await session.execute(
            select(NoticeDelivery.phone, NoticeMessage.sms_template, NoticeMessage.sms_params)
            .join(NoticeMessage, NoticeMessage.id == NoticeDelivery.message_id)
            .where(NoticeDelivery.group_id == group_id, NoticeDelivery.channel == "sms")
        )
        return [(phone, template, params) for phone, template, params in rows]


async def approve_leave(scenario: LeaveScenario) -> Leave:
    leave = await scenario.request_approved(days=2)
    await scenario.deliver_event("LeaveDecided", leave)
    return leave


async def test_guardian_is_notified_of_approved_leave_without_the_reason(scenario: LeaveScenario) -> None:
    await family(scenario)
    await consent(scenario)
    leave = await approve_leave(scenario)
    ((phone, template, params),) = await sent(scenario, leave.request.id)
    assert (phone, template) == (MOTHER, "guardian_leave")
    assert (params["days"], params["cap"], params["student"]) == ("2", "15", "学同学")
    assert not any("发烧" in value or scenario.pupil.name in value for value in params.values())


async def test_guardian_is_not_notified_without_consent(scenario: LeaveScenario) -> None:
    await family(scenario)
    assert await sent(scenario, (await approve_leave(scenario)).request.id) == []
    await consent(scenario)
    await consent(scenario, granted=False)
    leave = await scenario.request_approved(first=5)
    await scenario.deliver_event("LeaveDecided", leave)
    assert await sent(scenario, leave.request.id) == []


async def test_guardian_is_not_notified_of_declined_leave(scenario: LeaveScenario) -> None:
    await family(scenario)
    await consent(scenario)
    leave = await scenario.decide(await scenario.request(), "declined", opinion="证明不全")
    await scenario.deliver_event("LeaveDecided", leave)
    assert await sent(scenario, leave.request.id) == []


async def test_below_fourteen_the_guardian_consents(scenario: LeaveScenario) -> None:
    await family(scenario)
    born = scenario.today - timedelta(days=13 * 365)
    async with scenario.roll_call_scenario.owner_transaction() as session:
        await session.execute(update(Student).where(Student.id == scenario.pupil.id).values(birth_date=born))
    with pytest.raises(GuardianNeeded):
        await consent(scenario)
    await consent(scenario, guardian_name="张母")
    assert len(await sent(scenario, (await approve_leave(scenario)).request.id)) == 1


async def test_guardian_sms_is_not_shown_in_the_students_app(scenario: LeaveScenario) -> None:
    await family(scenario)
    await consent(scenario)
    leave = await approve_leave(scenario)
    actor = scenario.student()
    async with scenario.transaction(actor) as session:
        listed = (await fetch_notices(session, actor, scenario.at, PageRequest(20))).page.rows
    kinds = [each.message.kind for each in listed if each.message.group_id == leave.request.id]
    assert kinds == ["leave_decided"]


async def test_guardian_is_notified_when_leave_exceeds_the_limit(scenario: LeaveScenario) -> None:
    await family(scenario)
    await consent(scenario)
    await scenario.request_approved(days=16)
    scenario.set_clock(days=15, hour=9)
    (consumer,) = [each for each in SUBSCRIPTIONS[PromptRaised] if each.name == "notify_guardians_of_limit"]
    for kind in (PromptKind.MISSES, PromptKind.LEAVE_OVER_CAP):
        prompt_id = new_id()
        event = PromptRaised(
            school_id=scenario.school.id,
            student_id=scenario.pupil.id,
            path=scenario.school.path,
            prompt_id=prompt_id,
            kind=kind,
        )
        async with scenario.roll_call_scenario.app_context.database.transaction(
            consumer.scope(event)
        ) as session:
            await consumer.handle(session, event, scenario.at)
        found = [(template, params["days"]) for _, template, params in await sent(scenario, prompt_id)]
        assert found == ([("guardian_leave_limit", "16")] if kind is PromptKind.LEAVE_OVER_CAP else [])


def test_every_guardian_text_has_a_registered_template() -> None:
    codes = [get_notice_settings().template_code(name) for name in ("guardian_leave", "guardian_leave_limit")]
    assert len(set(codes)) == 2
