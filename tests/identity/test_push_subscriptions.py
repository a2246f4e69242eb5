"""The bound phone subscribes to browser notifications over HTTP; the subscription goes with the phone, and with time."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from backend.core.clock import legal_day
from backend.core.tenancy import Scope
from backend.demo.phone import Phone
from backend.identity.devices.service import revoke_active_key
from backend.notice.push.fake import FakePhone
from backend.notice.settings import get_notice_settings
from backend.notice.tables import PushSubscription
from backend.policy.installed import policy_at
from backend.retention.push_subscriptions import find_expired_subscriptions
from backend.retention.tasks import KINDS
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.province import PROVINCE_PATH

PATH = "/v1/me/push-subscription"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    value = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    monkeypatch.setenv(
        "DIANMING_PUSH_PRIVATE_KEY", base64.urlsafe_b64encode(value.to_bytes(32)).decode().rstrip("=")
    )
    get_notice_settings.cache_clear()
    yield
    get_notice_settings.cache_clear()


async def subscribed_phone(scenario: IdentityScenario) -> tuple[Phone, UUID]:
    """The phone of a student, registered and subscribed; with the student's id."""
    student = scenario.school.students[0]
    phone = scenario.phone()
    await phone.confirm(*await scenario.request_code(phone, student))
    body = {"endpoint": "https://updates.push.services.mozilla.com/wpush/v2/a", "keys": FakePhone("").keys()}
    answer = await phone.request("PUT", PATH, json=body)
    assert (answer.status_code, answer.json()["subscribed"]) == (200, True)
    return phone, student.id


async def subscriptions(scenario: IdentityScenario, student_id: UUID) -> list[PushSubscription]:
    async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        query = select(PushSubscription).where(PushSubscription.student_id == student_id)
        return list(await session.scalars(query))


async def test_a_phone_subscribes_and_ends_it(scenario: IdentityScenario) -> None:
    phone, student_id = await subscribed_phone(scenario)
    state = (await phone.get(PATH)).json()
    assert (state["available"], state["subscribed"]) == (True, True)
    assert len(base64.urlsafe_b64decode(state["public_key"] + "=")) == 65
    for _ in range(2):
        assert (await phone.request("DELETE", PATH)).json()["subscribed"] is False
    assert await subscriptions(scenario, student_id) == []


async def test_an_address_elsewhere_is_refused(scenario: IdentityScenario) -> None:
    phone, _ = await subscribed_phone(scenario)
    body = {"endpoint": "https://169.254.169.254/latest", "keys": FakePhone("").keys()}
    answer = await phone.request("PUT", PATH, json=body)
    assert (answer.status_code, problem_code(answer.text)) == (422, "push_service_unknown")


async def test_the_subscription_ends_with_the_key_of_the_phone(scenario: IdentityScenario) -> None:
    _, student_id = await subscribed_phone(scenario)
    (row,) = await subscriptions(scenario, student_id)
    async with scenario.app_context.database.transaction(Scope.school(row.school_id, "")) as session:
        await revoke_active_key(session, student_id, "lost", scenario.app_context.clock())
    assert await subscriptions(scenario, student_id) == []


async def test_the_subscription_is_kept_for_ninety_days_after_its_renewal(scenario: IdentityScenario) -> None:
    _, student_id = await subscribed_phone(scenario)
    (row,) = await subscriptions(scenario, student_id)
    policy = policy_at(legal_day(row.renewed_at), "410000")
    async with scenario.app_context.database.transaction(Scope.wide(PROVINCE_PATH)) as session:
        found = [
            {each.id for each in await find_expired_subscriptions(session, policy, row.renewed_at + age, 500)}
            for age in (90 * DAY - timedelta(seconds=1), 90 * DAY)
        ]
        (kind,) = (each for each in KINDS if each.name == "push_subscriptions")
        assert set(await kind.mark_deleted(session, [student_id], row.renewed_at)) == {student_id}
    assert (student_id in found[0], student_id in found[1]) == (False, True)
    assert await subscriptions(scenario, student_id) == []
