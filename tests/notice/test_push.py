"""Web push over a real socket: the protocol, what a message says, phones that are gone, retries, and addresses."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from sqlalchemy import select, text

from backend.core.actor import Actor
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.notice.delivery import Slice
from backend.notice.errors import PushKeysInvalid, PushServiceUnknown, PushStillQueued, PushUnavailable
from backend.notice.messages import IN_APP, Message, StudentRecipient
from backend.notice.push.addresses import is_push_address
from backend.notice.push.client import PushResult, PushTarget, WebPush, private_key, web_push
from backend.notice.push.delivery import deliver_push_slice
from backend.notice.push.fake import FakePhone, FakePushService
from backend.notice.push.subscriptions import (
    load_push_state,
    remove_push_subscription,
    save_push_subscription,
)
from backend.notice.service import post_notice
from backend.notice.settings import NoticeSettings, get_notice_settings
from backend.notice.tables import NoticeDelivery, NoticeMessage, PushSubscription
from backend.notice.tasks import RETRIES, deliver_push
from tests.notice.conftest import Clock, School
from tests.notice.test_delivery import context_of

KEY = base64.urlsafe_b64encode(
    ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32)
).decode()
HOSTS = get_notice_settings().push_hosts


@dataclass
class Push:
    """The fake push service, and a process that sends to it."""

    service: FakePushService
    parts: AppContext
    school: School

    async def subscribe(self, student: Actor) -> tuple[str, FakePhone]:
        """Subscribe a student's phone."""
        key = await self.public_key(student)
        endpoint, phone = self.service.subscribe(key)
        await self.save(student, PushTarget(endpoint, **phone.keys()))
        return endpoint, phone

    async def public_key(self, student: Actor) -> str:
        async with self.parts.database.transaction(student.scope) as session:
            state = await load_push_state(session, student)
        assert state.public_key is not None
        return state.public_key

    async def save(self, student: Actor, target: PushTarget) -> None:
        async with self.parts.database.transaction(student.scope) as session:
            await save_push_subscription(
                session, student, new_id(), target, self.parts.clock(), in_production=False
            )

    async def is_subscribed(self, student: Actor) -> bool:
        async with self.parts.database.transaction(student.scope) as session:
            return (await load_push_state(session, student)).subscribed

    async def post(self, message: Message, *students: Actor) -> Slice:
        """Post the message to students; returns the slice of the first."""
        async with self.parts.database.transaction(self.school.scope) as session:
            for student in students:
                assert student.student_id is not None
                await post_notice(
                    session, StudentRecipient(student.student_id, self.school.id), message, IN_APP, now()
                )
            query = select(NoticeMessage.id).where(NoticeMessage.group_id == message.group_id)
            message_id = (await session.scalars(query)).first()
        assert message_id is not None
        return Slice(message_id, 0, self.school.path, self.school.id)

    async def deliver(self, part: Slice) -> int:
        return await deliver_push_slice(self.parts, part, self.parts.service(web_push))

    async def deliveries(self, part: Slice) -> list[NoticeDelivery]:
        async with self.parts.database.transaction(self.school.scope) as session:
            rows = select(NoticeDelivery).where(
                NoticeDelivery.message_id == part.message_id, NoticeDelivery.channel == "web_push"
            )
            return list(await session.scalars(rows))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> Iterator[None]:
    """A process with keys for web push, which may also send to the fake."""
    monkeypatch.setenv("DIANMING_PUSH_PRIVATE_KEY", KEY)
    monkeypatch.setenv("DIANMING_PUSH_HOSTS", f'["push.example", "127.0.0.1:{listener.getsockname()[1]}"]')
    get_notice_settings.cache_clear()
    yield
    get_notice_settings.cache_clear()


@pytest.fixture
async def push(
    app_context: AppContext, clock: Clock, school: School, keys: None, listener: socket.socket
) -> AsyncIterator[Push]:
    """The fake on a free port of a real socket."""
    service = FakePushService(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(service.app(), log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    parts = replace(app_context, clock=clock, services={})
    yield Push(service, parts, school)
    client = parts.service(web_push)
    assert isinstance(client, WebPush)
    await client.aclose()
    server.should_exit = True
    await serving


async def run_job(push: Push, part: Slice, attempts: int) -> None:
    """Run the job of the slice, as the worker does."""
    await deliver_push(
        context_of(push.parts, part, attempts),
        message_id=str(part.message_id),
        number=part.number,
        org_path=part.org_path,
        school_id=str(part.school_id),
    )


async def test_a_message_says_only_that_there_is_a_notice_and_its_kind(
    push: Push, message: Message, school: School
) -> None:
    subscribed, other = school.student(), school.student()
    _, phone = await push.subscribe(subscribed)
    part = await push.post(message, subscribed, other)
    assert await push.deliver(part) == 0
    (delivery,) = await push.deliveries(part)
    assert phone.received == [{"kind": "roll_call_launched", "id": str(delivery.notice_id)}]
    assert (delivery.state, delivery.last_error) == ("sent", None)
    (headers,) = phone.headers
    assert (headers["ttl"], headers["urgency"]) == ("3600", "high")


async def test_posting_enqueues_one_job_that_sends(push: Push, message: Message, school: School) -> None:
    student = school.student()
    _, phone = await push.subscribe(student)
    part = await push.post(message, student)
    await run_job(push, part, 0)
    assert len(phone.received) == 1
    async with push.parts.database.transaction(school.scope) as session:
        jobs = text(
            "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'deliver_push' AND args ->> 'message_id' = :id"
        )
        assert await session.scalar(jobs, {"id": str(part.message_id)}) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_a_phone_that_is_gone_is_unsubscribed(
    push: Push, message: Message, school: School, status: int
) -> None:
    student = school.student()
    endpoint, _ = await push.subscribe(student)
    push.service.answers[endpoint.rsplit("/", 1)[1]] = status
    part = await push.post(message, student)
    assert await push.deliver(part) == 0
    (delivery,) = await push.deliveries(part)
    assert (delivery.state, delivery.last_error) == ("failed", f"push_{status}")
    assert not await push.is_subscribed(student)


async def test_a_browser_that_forgot_its_subscription_is_unsubscribed(
    push: Push, message: Message, school: School
) -> None:
    student = school.student()
    endpoint, _ = await push.subscribe(student)
    push.service.unsubscribe(endpoint)
    await push.deliver(await push.post(message, student))
    assert not await push.is_subscribed(student)


async def test_a_busy_service_is_tried_again_and_at_last_given_up(
    push: Push, message: Message, school: School
) -> None:
    student = school.student()
    endpoint, phone = await push.subscribe(student)
    name = endpoint.rsplit("/", 1)[1]
    part = await push.post(message, student)
    push.service.answers[name] = 429
    with pytest.raises(PushStillQueued):
        await run_job(push, part, 0)
    (delivery,) = await push.deliveries(part)
    assert (delivery.state, delivery.last_error, delivery.attempts) == ("queued", "push_429", 1)
    push.service.answers[name] = 503
    await run_job(push, part, RETRIES)
    (delivery,) = await push.deliveries(part)
    assert (delivery.state, delivery.last_error) == ("failed", "push_503")
    assert await push.is_subscribed(student)
    assert phone.received == []


async def test_a_refused_message_fails_and_keeps_the_subscription(
    push: Push, message: Message, school: School
) -> None:
    student = school.student()
    _, phone = await push.subscribe(student)
    phone.server_key = "another server's"
    part = await push.post(message, student)
    assert await push.deliver(part) == 0
    (delivery,) = await push.deliveries(part)
    assert (delivery.state, delivery.last_error) == ("failed", "push_401")
    assert await push.is_subscribed(student)


async def test_a_phone_that_unsubscribed_after_the_notice_gets_nothing(
    push: Push, message: Message, school: School
) -> None:
    student = school.student()
    _, phone = await push.subscribe(student)
    part = await push.post(message, student)
    async with push.parts.database.transaction(student.scope) as session:
        assert student.student_id is not None
        await remove_push_subscription(session, student.student_id)
    assert await push.deliver(part) == 0
    (delivery,) = await push.deliveries(part)
    assert (delivery.state, delivery.last_error) == ("failed", "not_subscribed")
    assert phone.received == []


async def test_renewing_replaces_the_address(push: Push, message: Message, school: School) -> None:
    student = school.student()
    _, old = await push.subscribe(student)
    _, new = await push.subscribe(student)
    await push.deliver(await push.post(message, student))
    assert (len(old.received), len(new.received)) == (0, 1)


async def test_production_refuses_a_fake_service(push: Push, school: School) -> None:
    endpoint, phone = push.service.subscribe(await push.public_key(school.student()))
    target = PushTarget(endpoint, **phone.keys())
    settings = get_notice_settings()
    key = private_key(settings)
    assert key is not None
    client = WebPush(key, settings, in_production=True)
    assert await client.send(target, {}, "normal") == PushResult("gone", "push_service_unknown")
    await client.aclose()
    assert phone.received == []


async def test_subscriptions_to_other_hosts_or_with_wrong_keys_are_refused(
    push: Push, school: School
) -> None:
    student = school.student()
    good = FakePhone("").keys()
    with pytest.raises(PushServiceUnknown):
        await push.save(student, PushTarget("https://example.com/push", **good))
    for wrong in ({"auth": "AAAA"}, {"p256dh": "AAAA"}, {"auth": "?"}, {"p256dh": good["auth"]}):
        with pytest.raises(PushKeysInvalid):
            await push.save(student, PushTarget("https://push.example/a", **{**good, **wrong}))
    assert not await push.is_subscribed(student)


async def test_without_keys_nothing_is_queued_and_nobody_subscribes(
    app_context: AppContext, message: Message, school: School
) -> None:
    student = school.student()
    assert student.student_id is not None
    async with app_context.database.transaction(student.scope) as session:
        assert (await load_push_state(session, student)).public_key is None
        with pytest.raises(PushUnavailable):
            await save_push_subscription(
                session,
                student,
                new_id(),
                PushTarget("https://fcm.googleapis.com/a", **FakePhone("").keys()),
                now(),
                in_production=True,
            )
    async with app_context.database.transaction(school.scope) as session:
        await post_notice(session, StudentRecipient(student.student_id, school.id), message, IN_APP, now())
        rows = select(NoticeDelivery.channel).where(NoticeDelivery.group_id == message.group_id)
        assert list(await session.scalars(rows)) == ["in_app"]


async def test_other_students_and_schools_see_no_subscription(push: Push, school: School) -> None:
    await push.subscribe(school.student())
    elsewhere = (
        school.student().scope,
        Scope.school(school.other_school_id, school.path),
        Scope.wide(school.other_city_path),
        Scope.none(),
    )
    for scope in elsewhere:
        async with push.parts.database.transaction(scope) as session:
            assert list(await session.scalars(select(PushSubscription))) == []


@pytest.mark.parametrize("key", ["", "short", "A" * 44, "!" * 43])
def test_a_key_of_another_form_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("DIANMING_PUSH_PRIVATE_KEY", key)
    with pytest.raises(ValidationError, match="32 bytes"):
        NoticeSettings()


@pytest.mark.parametrize(
    ("endpoint", "in_production", "known"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", True, True),
        ("https://web.push.apple.com/abc", True, True),
        ("https://updates.push.services.mozilla.com/wpush/v2/abc", True, True),
        ("http://fcm.googleapis.com/fcm/send/abc", True, False),
        ("https://fcm.googleapis.com:8443/abc", True, False),
        ("https://fcm.googleapis.com@169.254.169.254/abc", True, False),
        ("https://fcm.googleapis.com.example.org/abc", True, False),
        ("https://push.apple.com.example.org/abc", True, False),
        ("https://notpush.apple.com/abc", True, False),
        ("https://169.254.169.254/latest/meta-data", True, False),
        ("https://[::1]/abc", True, False),
        ("http://127.0.0.1:9/abc", True, False),
        ("http://127.0.0.1:9/abc", False, True),
        ("http://127.0.0.1:10/abc", False, False),
        ("file:///etc/passwd", True, False),
        ("https://fcm.googleapis.com/" + "a" * 3000, True, False),
        ("https://fcm.googleapis.com:x/", True, False),
    ],
)
def test_only_known_push_services_are_addressed(endpoint: str, in_production: bool, known: bool) -> None:
    hosts = (*HOSTS, "127.0.0.1:9")
    assert is_push_address(endpoint, hosts, in_production=in_production) is known
