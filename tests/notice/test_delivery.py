"""Sending a slice: claim, send, record; retries without duplicates; delivery reports."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import procrastinate
import pytest
from procrastinate.jobs import Job
from sqlalchemy import String, Uuid, column, select, text, values
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.ids import new_id
from backend.core.jobs import NOTICES, conninfo, job_app
from backend.core.tenancy import Scope
from backend.notice.aliyun_rpc import AliyunRpc, Endpoint
from backend.notice.delivery import Slice, deliver_slice
from backend.notice.delivery_reports import record_sms_reports
from backend.notice.errors import GatewayUnreachable, SmsStillQueued
from backend.notice.messages import Message, StudentRecipient
from backend.notice.service import post_notice, post_notices, send_sms_code
from backend.notice.sms.aliyun import AliyunSms, AliyunSmsReport
from backend.notice.sms.port import SendResult, Sms
from backend.notice.tables import Notice, NoticeDelivery, NoticeMessage, NoticeReceipt
from backend.notice.tasks import RETRIES, deliver_sms
from tests.notice.conftest import Clock, School, Served

Numbers = Callable[[int], list[str]]


async def post_to(database: Database, school: School, message: Message, phones: Sequence[str]) -> Slice:
    """Post the message to students of the school with these numbers; returns their slice."""
    people = values(
        column("student_id", Uuid()), column("school_id", Uuid()), column("phone", String()), name="people"
    ).data([(new_id(), school.id, phone) for phone in phones])
    async with database.transaction(school.scope) as session:
        await post_notices(session, select(people), message, {"sms"}, now())
        query = select(NoticeMessage.id).where(NoticeMessage.group_id == message.group_id)
        message_id = (await session.scalars(query)).one()
    return Slice(message_id, 0, school.path, school.id)


async def deliveries(database: Database, part: Slice) -> dict[str, NoticeDelivery]:
    """The slice's SMS deliveries by number."""
    async with database.transaction(part.scope) as session:
        query = select(NoticeDelivery).where(
            NoticeDelivery.message_id == part.message_id, NoticeDelivery.channel == "sms"
        )
        return {row.phone or "": row for row in await session.scalars(query)}


async def receipts(session: AsyncSession, part: Slice) -> list[NoticeReceipt]:
    query = select(NoticeReceipt).join(Notice).where(Notice.message_id == part.message_id)
    return list(await session.scalars(query))


async def first_delivery(session: AsyncSession, part: Slice) -> datetime | None:
    """The earliest receipt of a delivery in the slice."""
    delivered = [row.at for row in await receipts(session, part) if row.event == "delivered"]
    return min(delivered, default=None)


def context_of(parts: AppContext, part: Slice, attempts: int) -> procrastinate.JobContext:
    job = Job(id=1, queue=NOTICES, lock=None, queueing_lock=None, task_name="deliver_sms", attempts=attempts)
    return procrastinate.JobContext(
        app=job_app,
        job=job,
        additional_context={"app_context": parts},
        abort_reason=lambda: None,
        start_timestamp=0.0,
    )


async def run_job(parts: AppContext, part: Slice, attempts: int = 0) -> None:
    await deliver_sms(
        context_of(parts, part, attempts),
        str(part.message_id),
        part.number,
        part.org_path,
        str(part.school_id),
    )


class CrashAfterSending(AliyunSms):
    """Simulates a crash after the gateway accepted the messages and before anything is recorded."""

    async def send(self, phones: Sequence[str], sms: Sms) -> SendResult:
        await super().send(phones, sms)
        raise KeyboardInterrupt


async def test_slice_is_sent_in_batches_and_recorded(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    served: Served,
    phone_numbers: Numbers,
) -> None:
    phones = phone_numbers(201)
    part = await post_to(database, school, message, phones)
    assert await deliver_slice(parts, part, sms) == 0
    rows = await deliveries(database, part)
    assert {row.state for row in rows.values()} == {"sent"}
    assert all(row.provider_message_id and row.sent_at for row in rows.values())
    assert sorted(served.gateway.requests) == ["SendBatchSms", "SendBatchSms", "SendSms"]
    for phone in phones:
        [received] = served.gateway.inbox[phone]
        assert received.out_id == rows[phone].out_id


async def test_second_run_sends_nothing(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    served: Served,
    phone_numbers: Numbers,
) -> None:
    part = await post_to(database, school, message, phone_numbers(2))
    await deliver_slice(parts, part, sms)
    await deliver_slice(parts, part, sms)
    assert [len(await served.inbox(phone)) for phone in phone_numbers(2)] == [1, 1]


async def test_crash_between_sending_and_recording_sends_no_duplicate(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    served: Served,
    clock: Clock,
    phone_numbers: Numbers,
) -> None:
    phones = phone_numbers(3)
    part = await post_to(database, school, message, phones)
    crashing = CrashAfterSending(AliyunRpc(Endpoint.of(parts.settings), clock))
    with pytest.raises(KeyboardInterrupt):
        await deliver_slice(parts, part, crashing)
    await crashing.aclose()
    before = await deliveries(database, part)
    assert {row.state for row in before.values()} == {"queued"}
    assert await deliver_slice(parts, part, sms) == 0
    after = await deliveries(database, part)
    assert {row.state for row in after.values()} == {"sent"}
    for phone in phones:
        [received] = await served.inbox(phone)
        assert received["out_id"] == before[phone].out_id == after[phone].out_id


async def test_unsent_messages_are_sent_after_a_crash_with_the_same_out_id(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    served: Served,
    phone_numbers: Numbers,
) -> None:
    [phone] = phone_numbers(1)
    part = await post_to(database, school, message, [phone])
    nobody = AliyunSms(AliyunRpc(Endpoint("http://127.0.0.1:9", "demo", "x", refuses_fake=False)))
    with pytest.raises(GatewayUnreachable):
        await deliver_slice(parts, part, nobody)
    await nobody.aclose()
    tried = (await deliveries(database, part))[phone]
    assert (tried.state, tried.attempts, tried.last_error) == ("queued", 1, "gateway_unreachable")
    await deliver_slice(parts, part, sms)
    assert [received["out_id"] for received in await served.inbox(phone)] == [tried.out_id]


async def test_one_bad_number_does_not_fail_the_others(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    phone_numbers: Numbers,
) -> None:
    part = await post_to(database, school, message, [*phone_numbers(3), "110"])
    assert await deliver_slice(parts, part, sms) == 0
    rows = await deliveries(database, part)
    assert {phone: row.state for phone, row in rows.items()} == {
        **dict.fromkeys(phone_numbers(3), "sent"),
        "110": "failed",
    }
    async with database.transaction(part.scope) as session:
        [receipt] = await receipts(session, part)
    assert (receipt.event, receipt.report) == ("failed", {"err_code": "isv.MOBILE_NUMBER_ILLEGAL"})


async def test_rate_limited_number_is_retried_and_finally_fails(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    served: Served,
    phone_numbers: Numbers,
) -> None:
    busy, free = phone_numbers(2)
    served.gateway.refusals[busy] = "isv.BUSINESS_LIMIT_CONTROL"
    part = await post_to(database, school, message, [busy, free])
    with pytest.raises(SmsStillQueued):
        await run_job(parts, part)
    rows = await deliveries(database, part)
    assert (rows[busy].state, rows[free].state) == ("queued", "sent")
    await run_job(parts, part, attempts=RETRIES)
    rows = await deliveries(database, part)
    assert (rows[busy].state, rows[busy].last_error) == ("failed", "isv.BUSINESS_LIMIT_CONTROL")


async def test_production_records_nothing_as_sent_by_a_fake(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    served: Served,
    clock: Clock,
    phone_numbers: Numbers,
) -> None:
    part = await post_to(database, school, message, phone_numbers(1))
    production = parts.settings.model_copy(update={"env": "production"})
    client = AliyunSms(AliyunRpc(Endpoint.of(production), clock))
    with pytest.raises(GatewayUnreachable):
        await deliver_slice(parts, part, client)
    await client.aclose()
    [row] = (await deliveries(database, part)).values()
    assert (row.state, row.last_error) == ("queued", "fake_gateway_refused")


async def test_worker_runs_the_enqueued_job(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    served: Served,
    phone_numbers: Numbers,
) -> None:
    [phone] = phone_numbers(1)
    await post_to(database, school, message, [phone])
    connector = procrastinate.PsycopgConnector(conninfo=conninfo(parts.settings.database_url))
    with job_app.replace_connector(connector) as app:
        async with app.open_async():
            await app.run_worker_async(
                queues=[NOTICES],
                wait=False,
                install_signal_handlers=False,
                listen_notify=False,
                additional_context={"app_context": parts},
            )
    assert len(await served.inbox(phone)) == 1


async def test_one_time_code_is_sent_and_then_erased(
    database: Database,
    school: School,
    parts: AppContext,
    sms: AliyunSms,
    served: Served,
    phone_numbers: Numbers,
) -> None:
    [phone], student = phone_numbers(1), school.student()
    assert student.student_id is not None
    async with database.transaction(student.scope) as session:
        notice_id = await send_sms_code(
            session,
            school_id=school.id,
            student_id=student.student_id,
            phone=phone,
            code="271828",
            keys=parts.keys,
            at=now(),
        )
        message_id = (await session.scalars(select(Notice.message_id).where(Notice.id == notice_id))).one()
    part = Slice(message_id, 0, "", school.id)
    sealed = (await deliveries(database, part))[phone].sealed_params
    assert sealed is not None
    assert await deliver_slice(parts, part, sms) == 0
    [received] = await served.inbox(phone)
    assert received["params"] == {"code": "271828"}
    assert (await deliveries(database, part))[phone].sealed_params is None


async def note(database: Database, reports: list[dict[str, Any]]) -> int:
    """What the callback does with a push."""
    async with database.transaction(Scope.none()) as session:
        pushed = [AliyunSmsReport.model_validate(json.loads(json.dumps(each))) for each in reports]
        return await record_sms_reports(session, [report.to_report() for report in pushed], now())


def report(row: NoticeDelivery, *, success: bool, minute: int) -> dict[str, Any]:
    return {
        "phone_number": row.phone,
        "send_time": "2026-03-02 08:00:00",
        "report_time": f"2026-03-02 08:{minute:02d}:00",
        "success": success,
        "err_code": "DELIVERED" if success else "UNDELIV",
        "err_msg": "用户接收成功" if success else "未送达",
        "sms_size": "1",
        "biz_id": "900619746936498440^0",
        "out_id": row.out_id,
    }


async def test_repeated_report_is_stored_once_with_the_first_time(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    phone_numbers: Numbers,
) -> None:
    part = await post_to(database, school, message, phone_numbers(2))
    await deliver_slice(parts, part, sms)
    rows = list((await deliveries(database, part)).values())
    pushed = [report(row, success=True, minute=1) for row in rows]
    assert await note(database, [*pushed, *pushed]) == 2
    assert await note(database, [report(rows[0], success=True, minute=9)]) == 0
    async with database.transaction(part.scope) as session:
        kept = await receipts(session, part)
    assert [receipt.at.isoformat() for receipt in kept] == ["2026-03-02T00:01:00+00:00"] * 2
    assert {row.state for row in (await deliveries(database, part)).values()} == {"delivered"}


async def test_report_may_turn_failure_into_delivery_but_not_the_reverse(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    phone_numbers: Numbers,
) -> None:
    [phone] = phone_numbers(1)
    part = await post_to(database, school, message, [phone])
    await deliver_slice(parts, part, sms)
    states = []
    for minute, success in enumerate((False, True, False)):
        row = (await deliveries(database, part))[phone]
        await note(database, [report(row, success=success, minute=minute)])
        states.append((await deliveries(database, part))[phone].state)
    assert states == ["failed", "delivered", "delivered"]


async def test_report_that_arrives_before_the_send_is_recorded_is_kept(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    clock: Clock,
    served: Served,
    phone_numbers: Numbers,
) -> None:
    class ReportFirst(AliyunSms):
        async def send(self, phones: Sequence[str], sms: Sms) -> SendResult:
            outcome = await super().send(phones, sms)
            await note(
                database,
                [report(row, success=True, minute=0) for row in (await deliveries(database, part)).values()],
            )
            return outcome

    part = await post_to(database, school, message, phone_numbers(1))
    client = ReportFirst(AliyunRpc(Endpoint.of(parts.settings), clock))
    await deliver_slice(parts, part, client)
    await client.aclose()
    [row] = (await deliveries(database, part)).values()
    assert row.state == "delivered"


async def test_report_with_country_code_matches_its_delivery(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    phone_numbers: Numbers,
) -> None:
    [phone] = phone_numbers(1)
    part = await post_to(database, school, message, [phone])
    await deliver_slice(parts, part, sms)
    row = (await deliveries(database, part))[phone]
    assert await note(database, [report(row, success=True, minute=0) | {"phone_number": f"86{phone}"}]) == 1


async def test_reports_for_unknown_messages_change_nothing(database: Database) -> None:
    unknown = NoticeDelivery(phone="13800000000", out_id="no-such-id")
    assert await note(database, [report(unknown, success=True, minute=0)]) == 0


async def test_only_a_receipt_proves_delivery(
    database: Database,
    school: School,
    message: Message,
    parts: AppContext,
    sms: AliyunSms,
    phone_numbers: Numbers,
) -> None:
    student, [phone] = school.student(), phone_numbers(1)
    assert student.student_id is not None
    async with database.transaction(school.scope) as session:
        recipient = StudentRecipient(student.student_id, school.id, student.account_id, phone)
        await post_notice(session, recipient, message, {"sms"}, now())
        query = select(NoticeMessage.id).where(NoticeMessage.group_id == message.group_id)
        part = Slice((await session.scalars(query)).one(), 0, school.path, school.id)
    await deliver_slice(parts, part, sms)
    async with database.transaction(school.scope) as session:
        assert await first_delivery(session, part) is None
    row = (await deliveries(database, part))[phone]
    await note(database, [report(row, success=True, minute=3)])
    async with database.transaction(school.scope) as session:
        reached = await first_delivery(session, part)
    assert reached is not None
    assert reached.isoformat() == "2026-03-02T00:03:00+00:00"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE notice_receipt SET at = now()",
        "DELETE FROM notice_receipt",
        "DELETE FROM notice_delivery",
        "UPDATE notice SET created_at = now()",
    ],
)
async def test_evidence_cannot_be_changed_or_deleted(database: Database, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.transaction(Scope.none()) as session:
            await session.execute(text(statement))
