"""A prompt is delivered when a registrar of the school first receives it, by any kind of proof (reading 7)."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.listing.pages import PageRequest
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.notice.delivery_reports import record_sms_reports
from backend.notice.inbox import fetch_notices, open_notice
from backend.notice.messages import Message, SmsText, StaffRecipient
from backend.notice.service import post_notice
from backend.notice.sms.aliyun import AliyunSmsReport
from backend.notice.tables import NoticeDelivery
from backend.roll_call.voiding import void_roll_call
from backend.standing.prompts.deliveries import receive_prompt
from backend.standing.prompts.errors import DeliveryTimeInvalid, DeliveryTooOld, PromptWithdrawn
from backend.standing.prompts.queries import load_prompt_detail
from backend.standing.store.tables import PromptDelivered
from tests.support.province import registrar_account
from tests.support.standing.prompt_actions import record_offline_delivery
from tests.support.standing.prompts import confirm_receipt, load_prompt_id, raise_prompt
from tests.support.standing.scenario import StandingScenario

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R7")]
PHONE = "13800000001"


async def fetch_inbox(scenario: StandingScenario, actor: Actor) -> list[tuple[str, UUID]]:
    """Fetch the account's notices, which delivers them; returns kind and id."""
    async with scenario.transaction(actor) as session:
        page = await fetch_notices(session, actor, scenario.at, PageRequest(50))
    return [(item.message.kind, item.notice.id) for item in page.page.rows]


async def load_deliveries(scenario: StandingScenario) -> list[tuple[str, datetime]]:
    return [(row.how, row.at) for row in await scenario.rows(PromptDelivered)]


async def count_receipt_events(scenario: StandingScenario, prompt_id: UUID) -> int:
    """The number of `NoticeReceived` events of the prompt's notice."""
    found = select(func.count()).where(
        OutboxEvent.name == "NoticeReceived", OutboxEvent.payload["group_id"].astext == str(prompt_id)
    )
    async with scenario.roll_call_scenario.owner_transaction() as session:
        return int(await session.scalar(found))


async def test_the_registrars_receipt_starts_the_working_days(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    await confirm_receipt(scenario, prompt_id)
    step = await scenario.step(prompt_id)
    [delivered] = await scenario.rows(PromptDelivered)
    assert (step.state, step.delivered_at) == ("running", delivered.at)
    assert step.due_at is not None
    assert step.due_at.astimezone(LEGAL_ZONE).hour == 0


async def test_a_second_receipt_changes_nothing(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    due_at = await confirm_receipt(scenario, prompt_id)
    scenario.pass_time(days=1)
    assert await confirm_receipt(scenario, prompt_id) == due_at
    assert len(await load_deliveries(scenario)) == 1


async def test_fetching_the_notice_in_the_app_delivers_the_prompt(scenario: StandingScenario) -> None:
    registrar = await scenario.roll_call_scenario.account("registrar", scenario.school)
    prompt_id = await raise_prompt(scenario)
    await scenario.run_events("PromptRaised")
    assert "prompt_raised" in dict(await fetch_inbox(scenario, registrar))
    received_at = scenario.at
    scenario.pass_time(hours=1)
    await scenario.run_events("NoticeReceived")
    assert await load_deliveries(scenario) == [("in_app", received_at)]
    assert (await scenario.step(prompt_id)).state == "running"


async def test_fetching_the_notice_again_emits_no_second_event(scenario: StandingScenario) -> None:
    registrar = await scenario.roll_call_scenario.account("registrar", scenario.school)
    prompt_id = await raise_prompt(scenario)
    await scenario.run_events("PromptRaised")
    shown = dict(await fetch_inbox(scenario, registrar))
    async with scenario.transaction(registrar) as session:
        await open_notice(session, registrar, shown["prompt_raised"], scenario.at)
    await fetch_inbox(scenario, registrar)
    assert await count_receipt_events(scenario, prompt_id) == 1


async def test_the_counselors_notice_is_not_a_delivery(scenario: StandingScenario) -> None:
    counselor = await scenario.roll_call_scenario.account(
        "counselor", scenario.school, scenario.school.classes[0]
    )
    await raise_prompt(scenario)
    await scenario.run_events("PromptRaised")
    assert await fetch_inbox(scenario, counselor)
    await scenario.run_events("NoticeReceived")
    assert await load_deliveries(scenario) == []


async def build_sms_report(
    scenario: StandingScenario, account_id: UUID, reported_at: datetime
) -> AliyunSmsReport:
    """The carrier's report on the SMS to the account."""
    async with scenario.roll_call_scenario.owner_transaction() as session:
        out_id = new_id().hex
        await session.execute(
            update(NoticeDelivery)
            .where(NoticeDelivery.account_id == account_id, NoticeDelivery.channel == "sms")
            .values(out_id=out_id, state="sent")
        )
    local = f"{reported_at.astimezone(LEGAL_ZONE):%Y-%m-%d %H:%M:%S}"
    return AliyunSmsReport.model_validate(
        {
            "phone_number": PHONE,
            "send_time": local,
            "report_time": local,
            "success": True,
            "biz_id": "1",
            "out_id": out_id,
        }
    )


async def send_prompt_sms(scenario: StandingScenario, prompt_id: UUID, kind: str = "prompt_raised") -> UUID:
    """Notify a registrar of the prompt by SMS too; returns the account."""
    registrar = await scenario.roll_call_scenario.account("registrar", scenario.school)
    message = Message(kind, prompt_id, "提示", "Prompt", "提示", "Prompt", sms=SmsText("notice"))
    recipient = StaffRecipient(registrar.account_id, scenario.school.path, scenario.school.id, PHONE)
    async with scenario.as_worker() as session:
        await post_notice(session, recipient, message, ("in_app", "sms"), scenario.at)
    return registrar.account_id


async def record_sms_report(scenario: StandingScenario, report: AliyunSmsReport) -> None:
    async with scenario.app_context.database.transaction(Scope.none()) as session:
        await record_sms_reports(session, [report.to_report()], scenario.at)
    await scenario.run_events("NoticeReceived")


async def test_a_delivered_sms_delivers_the_prompt_at_that_time(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    account_id, received_at = await send_prompt_sms(scenario, prompt_id), scenario.at
    scenario.pass_time(minutes=5)
    await record_sms_report(scenario, await build_sms_report(scenario, account_id, received_at))
    assert await load_deliveries(scenario) == [("sms", received_at)]


async def test_an_sms_of_another_kind_is_not_a_delivery(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    account_id = await send_prompt_sms(scenario, prompt_id, kind="prompt_reminder")
    await record_sms_report(scenario, await build_sms_report(scenario, account_id, scenario.at))
    assert await load_deliveries(scenario) == []


async def test_a_report_after_the_deadline_counts_from_its_arrival(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    account_id, sent_at = await send_prompt_sms(scenario, prompt_id), scenario.at
    scenario.pass_time(days=20)
    await record_sms_report(scenario, await build_sms_report(scenario, account_id, sent_at))
    assert await load_deliveries(scenario) == [("sms", scenario.at)]
    assert (await scenario.step(prompt_id)).state == "running"


async def test_reading_a_prompt_is_not_a_receipt(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    async with scenario.transaction(scenario.registrar) as session:
        await load_prompt_detail(session, scenario.registrar, prompt_id, scenario.at)
    assert await load_deliveries(scenario) == []


async def test_an_offline_delivery_by_the_superior_starts_the_deadline(
    scenario: StandingScenario,
) -> None:
    prompt_id = await raise_prompt(scenario)
    scenario.pass_time(hours=30)
    await record_offline_delivery(scenario, prompt_id, ago=timedelta(hours=5))
    [row] = await scenario.rows(PromptDelivered)
    assert (row.how, row.note) == ("written", "送达回证〔2026〕12号")
    assert (await scenario.step(prompt_id)).delivered_at == scenario.at - timedelta(hours=5)


async def test_an_offline_delivery_does_not_replace_an_earlier_one(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    scenario.pass_time(hours=30)
    await confirm_receipt(scenario, prompt_id)
    await record_offline_delivery(scenario, prompt_id, ago=timedelta(hours=5))
    assert await load_deliveries(scenario) == [("receipt", scenario.at)]


@pytest.mark.parametrize("ago", [timedelta(days=3), -timedelta(minutes=1)])
async def test_a_delivery_must_lie_between_the_prompt_and_now(
    scenario: StandingScenario, ago: timedelta
) -> None:
    prompt_id = await raise_prompt(scenario)
    with pytest.raises(DeliveryTimeInvalid):
        await record_offline_delivery(scenario, prompt_id, ago=ago)


async def test_a_delivery_whose_deadline_has_passed_is_refused(scenario: StandingScenario) -> None:
    prompt_id = await raise_prompt(scenario)
    scenario.pass_time(days=20)
    with pytest.raises(DeliveryTooOld):
        await record_offline_delivery(scenario, prompt_id, ago=timedelta(days=19))
    assert (await scenario.step(prompt_id)).state == "undelivered"


@pytest.mark.parametrize("who", ["registrar", "counselor", "province"])
async def test_only_the_superior_can_record_an_offline_delivery(scenario: StandingScenario, who: str) -> None:
    prompt_id = await raise_prompt(scenario)
    with pytest.raises(NotPermitted):
        await record_offline_delivery(scenario, prompt_id, actor=getattr(scenario, who))


@pytest.mark.parametrize("who", ["bureau", "counselor", "province"])
async def test_only_the_registrar_can_confirm_the_receipt(scenario: StandingScenario, who: str) -> None:
    prompt_id, actor = await raise_prompt(scenario), getattr(scenario, who)
    async with scenario.transaction(actor) as session:
        with pytest.raises(NotPermitted):
            await receive_prompt(session, actor, prompt_id, scenario.at)


async def test_another_schools_registrar_cannot_confirm_the_receipt(scenario: StandingScenario) -> None:
    prompt_id, stranger = (
        await raise_prompt(scenario),
        registrar_account(scenario.roll_call_scenario.world.sister),
    )
    async with scenario.transaction(stranger) as session:
        with pytest.raises(NotFound):
            await receive_prompt(session, stranger, prompt_id, scenario.at)


async def test_a_withdrawn_prompt_cannot_be_received(
    scenario: StandingScenario,
) -> None:
    [first, _] = await scenario.misses(2)
    await scenario.recompute()
    prompt_id = await load_prompt_id(scenario)
    async with scenario.transaction(scenario.bureau) as session:
        await void_roll_call(session, scenario.bureau, first.id, "全市停电", scenario.at)
    with pytest.raises(PromptWithdrawn):
        await confirm_receipt(scenario, prompt_id)
