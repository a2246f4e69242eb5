"""A prompt is delivered when a registrar of the school first receives it, however that is proven (reading 7)."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from backend.core.actor import Actor
from backend.core.clock import LEGAL_ZONE
from backend.core.errors import NotFound, NotPermitted
from backend.core.ids import new_id
from backend.core.tables import OutboxEvent
from backend.core.tenancy import Scope
from backend.notice.delivery_reports import record_sms_reports
from backend.notice.inbox import fetch_notices, open_notice
from backend.notice.messages import Message, SmsText, StaffRecipient
from backend.notice.service import post_notice
from backend.notice.sms.aliyun import AliyunSmsReport
from backend.notice.tables import NoticeDelivery
from backend.roll_call.oversight import void_roll_call
from backend.standing.prompts.deliveries import receive_prompt
from backend.standing.prompts.errors import DeliveryTimeInvalid, DeliveryTooOld, PromptWithdrawn
from backend.standing.prompts.queries import prompt_file
from backend.standing.store.tables import PromptDelivered
from tests.support.province import registrar_account
from tests.support.standing.prompt_actions import deliver_otherwise
from tests.support.standing.prompts import prompt_of, prompted, receive
from tests.support.standing.scenario import Registry

pytestmark = [pytest.mark.clause("HN334-4.1b"), pytest.mark.clause("R7")]
PHONE = "13800000001"


async def fetch(registry: Registry, actor: Actor) -> list[tuple[str, UUID]]:
    """Kind and id of the notices that the account is shown, which thereby are delivered."""
    async with registry.transaction(actor) as session:
        page = await fetch_notices(session, actor, registry.at, limit=50)
    return [(item.message.kind, item.notice.id) for item in page.items]


async def deliveries(registry: Registry) -> list[tuple[str, datetime]]:
    return [(row.how, row.at) for row in await registry.rows(PromptDelivered)]


async def told_of(registry: Registry, prompt_id: UUID) -> int:
    """How many receipts of the prompt's notice were announced."""
    found = select(func.count()).where(
        OutboxEvent.name == "NoticeReceived", OutboxEvent.payload["group_id"].astext == str(prompt_id)
    )
    async with registry.stage.arrange() as session:
        return int(await session.scalar(found))


async def test_the_registrars_receipt_starts_the_working_days(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    await receive(registry, prompt_id)
    step = await registry.step(prompt_id)
    [delivered] = await registry.rows(PromptDelivered)
    assert (step.state, step.delivered_at) == ("running", delivered.at)
    assert step.due_at is not None
    assert step.due_at.astimezone(LEGAL_ZONE).hour == 0


async def test_a_second_receipt_changes_nothing(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    due_at = await receive(registry, prompt_id)
    registry.pass_time(days=1)
    assert await receive(registry, prompt_id) == due_at
    assert len(await deliveries(registry)) == 1


async def test_fetching_the_notice_in_the_app_delivers_the_prompt(registry: Registry) -> None:
    registrar = await registry.stage.account("registrar", registry.school)
    prompt_id = await prompted(registry)
    await registry.run_events("PromptRaised")
    assert "prompt_raised" in dict(await fetch(registry, registrar))
    received_at = registry.at
    registry.pass_time(hours=1)
    await registry.run_events("NoticeReceived")
    assert await deliveries(registry) == [("in_app", received_at)]
    assert (await registry.step(prompt_id)).state == "running"


async def test_fetching_or_opening_the_notice_again_tells_nothing_new(registry: Registry) -> None:
    registrar = await registry.stage.account("registrar", registry.school)
    prompt_id = await prompted(registry)
    await registry.run_events("PromptRaised")
    shown = dict(await fetch(registry, registrar))
    async with registry.transaction(registrar) as session:
        await open_notice(session, registrar, shown["prompt_raised"], registry.at)
    await fetch(registry, registrar)
    assert await told_of(registry, prompt_id) == 1


async def test_the_counselors_notice_is_nobodys_delivery(registry: Registry) -> None:
    counselor = await registry.stage.account("counselor", registry.school, registry.school.classes[0])
    await prompted(registry)
    await registry.run_events("PromptRaised")
    assert await fetch(registry, counselor)
    await registry.run_events("NoticeReceived")
    assert await deliveries(registry) == []


async def report_of(registry: Registry, account_id: UUID, reported_at: datetime) -> AliyunSmsReport:
    """The carrier's report on the SMS to the account, as it will come in."""
    async with registry.stage.arrange() as session:
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


async def by_sms(registry: Registry, prompt_id: UUID, kind: str = "prompt_raised") -> UUID:
    """Tell a registrar of the prompt by SMS too; the account."""
    registrar = await registry.stage.account("registrar", registry.school)
    message = Message(kind, prompt_id, "提示", "Prompt", "提示", "Prompt", sms=SmsText("notice"))
    recipient = StaffRecipient(registrar.account_id, registry.school.path, registry.school.id, PHONE)
    async with registry.as_worker() as session:
        await post_notice(session, recipient, message, ("in_app", "sms"), registry.at)
    return registrar.account_id


async def note(registry: Registry, report: AliyunSmsReport) -> None:
    async with registry.app_context.database.transaction(Scope.none()) as session:
        await record_sms_reports(session, [report.to_report()], registry.at)
    await registry.run_events("NoticeReceived")


async def test_an_sms_that_the_carrier_reports_delivered_delivers_the_prompt_then(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    account_id, received_at = await by_sms(registry, prompt_id), registry.at
    registry.pass_time(minutes=5)
    await note(registry, await report_of(registry, account_id, received_at))
    assert await deliveries(registry) == [("sms", received_at)]


async def test_an_sms_of_another_kind_is_no_delivery(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    account_id = await by_sms(registry, prompt_id, kind="prompt_reminder")
    await note(registry, await report_of(registry, account_id, registry.at))
    assert await deliveries(registry) == []


async def test_a_report_that_comes_after_its_deadline_counts_from_when_it_came(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    account_id, sent_at = await by_sms(registry, prompt_id), registry.at
    registry.pass_time(days=20)
    await note(registry, await report_of(registry, account_id, sent_at))
    assert await deliveries(registry) == [("sms", registry.at)]
    assert (await registry.step(prompt_id)).state == "running"


async def test_reading_a_prompt_is_no_receipt(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    async with registry.transaction(registry.registrar) as session:
        await prompt_file(session, registry.registrar, prompt_id, registry.at)
    assert await deliveries(registry) == []


async def test_who_does_not_look_is_delivered_by_the_superior_and_the_days_run_from_then(
    registry: Registry,
) -> None:
    prompt_id = await prompted(registry)
    registry.pass_time(hours=30)
    await deliver_otherwise(registry, prompt_id, ago=timedelta(hours=5))
    [row] = await registry.rows(PromptDelivered)
    assert (row.how, row.note) == ("written", "送达回证〔2026〕12号")
    assert (await registry.step(prompt_id)).delivered_at == registry.at - timedelta(hours=5)


async def test_the_superior_cannot_put_a_delivery_before_the_one_on_record(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    registry.pass_time(hours=30)
    await receive(registry, prompt_id)
    await deliver_otherwise(registry, prompt_id, ago=timedelta(hours=5))
    assert await deliveries(registry) == [("receipt", registry.at)]


@pytest.mark.parametrize("ago", [timedelta(days=3), -timedelta(minutes=1)])
async def test_a_delivery_lies_between_the_prompt_and_now(registry: Registry, ago: timedelta) -> None:
    prompt_id = await prompted(registry)
    with pytest.raises(DeliveryTimeInvalid):
        await deliver_otherwise(registry, prompt_id, ago=ago)


async def test_a_delivery_whose_deadline_would_be_over_is_refused(registry: Registry) -> None:
    prompt_id = await prompted(registry)
    registry.pass_time(days=20)
    with pytest.raises(DeliveryTooOld):
        await deliver_otherwise(registry, prompt_id, ago=timedelta(days=19))
    assert (await registry.step(prompt_id)).state == "undelivered"


@pytest.mark.parametrize("who", ["registrar", "counselor", "province"])
async def test_only_the_superior_proves_a_delivery_otherwise(registry: Registry, who: str) -> None:
    prompt_id = await prompted(registry)
    with pytest.raises(NotPermitted):
        await deliver_otherwise(registry, prompt_id, actor=getattr(registry, who))


@pytest.mark.parametrize("who", ["bureau", "counselor", "province"])
async def test_only_the_registrar_receives(registry: Registry, who: str) -> None:
    prompt_id, actor = await prompted(registry), getattr(registry, who)
    async with registry.transaction(actor) as session:
        with pytest.raises(NotPermitted):
            await receive_prompt(session, actor, prompt_id, registry.at)


async def test_another_schools_registrar_has_nothing_to_receive(registry: Registry) -> None:
    prompt_id, stranger = await prompted(registry), registrar_account(registry.stage.world.sister)
    async with registry.transaction(stranger) as session:
        with pytest.raises(NotFound):
            await receive_prompt(session, stranger, prompt_id, registry.at)


async def test_a_prompt_that_was_withdrawn_before_it_arrived_is_not_received_any_more(
    registry: Registry,
) -> None:
    [first, _] = await registry.misses(2)
    await registry.recompute()
    prompt_id = await prompt_of(registry)
    async with registry.transaction(registry.bureau) as session:
        await void_roll_call(session, registry.bureau, first.id, "全市停电", registry.at)
    with pytest.raises(PromptWithdrawn):
        await receive(registry, prompt_id)
