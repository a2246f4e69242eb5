"""Failed sign-ins delay the next attempt, longer each time, and never close an account (HN334-2.3)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from httpx import ASGITransport, Response

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.identity.devices.tasks import purge_expired
from backend.identity.rules import delay_schedule
from tests.support.identity.scenario import IdentityScenario, identity_scenario, problem_code
from tests.support.identity.staff_user import (
    PASSWORD,
    StaffUser,
    create_invited_user,
    create_staff_user,
    new_login,
)

pytestmark = pytest.mark.clause("HN334-2.3")
WRONG = {"password": "wrong password", "totp": "000000"}
PROXY = "10.9.8.7"


@pytest.fixture
async def behind_proxy(app_context: AppContext, owner: Database) -> AsyncIterator[IdentityScenario]:
    """The scenario of a deployment that names its proxy."""
    settings = app_context.settings.model_copy(update={"trusted_proxies": f"{PROXY}/32"})
    async with identity_scenario(replace(app_context, settings=settings), owner) as scenario:
        yield scenario


async def fail(user: StaffUser, times: int, **changes: str) -> list[Response]:
    """Try to sign in with wrong factors."""
    return [await user.sign_in(**WRONG, **changes) for _ in range(times)]


def codes(answers: list[Response]) -> list[str]:
    return [problem_code(answer.text) for answer in answers]


def test_delays_start_after_the_limit_and_double() -> None:
    minute = timedelta(minutes=1)
    delays = delay_schedule(3, minute, 5 * minute)
    assert delays == [timedelta(), timedelta(), minute, 2 * minute, 4 * minute, 5 * minute]
    assert delay_schedule(1, 9 * minute, 5 * minute) == [5 * minute]


async def test_the_fifth_failure_delays_the_next_attempt_and_each_further_one_longer(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    assert codes(await fail(registrar, 7)) == ["sign_in_refused"] * 5 + ["too_many_attempts"] * 2
    waits = []
    for _ in range(6):
        (refused,) = await fail(registrar, 1)
        waits.append(int(refused.headers["retry-after"]))
        scenario.clock.offset += timedelta(seconds=waits[-1])
        assert codes(await fail(registrar, 1)) == ["sign_in_refused"]
    assert waits == [60, 120, 240, 480, 900, 900]
    scenario.clock.offset += timedelta(minutes=15)
    assert (await registrar.sign_in()).status_code == 201


async def test_parallel_guesses_are_counted_like_sequential_ones(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    answers = await asyncio.gather(*(registrar.sign_in(**WRONG) for _ in range(9)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 4


async def test_guesses_of_others_do_not_delay_a_device_that_signed_in_before(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    device = registrar.tokens["device_token"]
    await fail(registrar, 8)
    assert problem_code((await registrar.sign_in()).text) == "too_many_attempts"
    opened = await registrar.sign_in(device_token=device)
    assert (opened.status_code, opened.json()["device_token"]) == (201, device)


async def test_the_token_of_another_account_or_a_made_up_one_helps_nobody(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    other = await create_staff_user(scenario, "registrar", scenario.world.sister.id)
    await fail(registrar, 5)
    for token in (other.tokens["device_token"], "made-up"):
        assert codes(await fail(registrar, 1, device_token=token)) == ["too_many_attempts"]


async def test_a_known_device_is_delayed_by_its_own_failures_for_a_minute_at_most(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    device = registrar.tokens["device_token"]
    assert set(codes(await fail(registrar, 10, device_token=device))) == {"sign_in_refused"}
    for _ in range(8):
        (refused,) = await fail(registrar, 1, device_token=device)
        scenario.clock.offset += timedelta(seconds=int(refused.headers["retry-after"]))
        await fail(registrar, 1, device_token=device)
    (refused,) = await fail(registrar, 1, device_token=device)
    assert refused.headers["retry-after"] == "60"
    assert (await registrar.sign_in()).status_code == 201, "failures of the device do not delay others"
    scenario.clock.offset += timedelta(minutes=1)
    assert (await registrar.sign_in(device_token=device)).status_code == 201


async def test_a_device_is_forgotten_half_a_year_after_its_last_sign_in(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    device = registrar.tokens["device_token"]
    scenario.clock.offset += timedelta(days=181)
    await fail(registrar, 5)
    assert problem_code((await registrar.sign_in(device_token=device)).text) == "too_many_attempts"


async def test_unknown_logins_are_delayed_like_known_ones(scenario: IdentityScenario) -> None:
    known = await create_staff_user(scenario, "registrar", scenario.school.id)
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    answers = []
    for login in (known.login, new_login(), invited.login):
        tried = [await known.sign_in(login=login, **WRONG) for _ in range(7)]
        answers.append([(each.status_code, each.text, each.headers.get("retry-after")) for each in tried])
    assert answers[0] == answers[1] == answers[2]
    assert [status for status, _, _ in answers[0]] == [401] * 5 + [429] * 2


async def test_unknown_logins_cost_the_same_work(
    scenario: IdentityScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await create_staff_user(scenario, "registrar", scenario.school.id)
    work: list[str] = []

    def count(module: str, name: str) -> None:
        target = __import__(module, fromlist=[name])
        original = getattr(target, name)

        def counting(*arguments: object) -> object:
            work.append(name)
            return original(*arguments)

        monkeypatch.setattr(target, name, counting)

    count("backend.identity.accounts.passwords", "_verify_password")
    count("backend.identity.sign_in.staff_sign_in", "find_matching_step")
    count("backend.identity.sign_in.attempts", "record_attempt")
    done = []
    for login in (known.login, new_login()):
        work.clear()
        await known.sign_in(login=login, **WRONG)
        done.append(list(work))
    assert done[0] == done[1] != []


async def test_a_used_code_is_named_and_not_counted_as_a_failure(scenario: IdentityScenario) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    await invited.begin()
    code = invited.totp()
    body = {"login": invited.login, "activation_code": invited.code, "totp": code}
    assert (await scenario.staff.post("/v1/activations/confirmation", json=body)).status_code == 204
    answers = [await invited.sign_in(totp=code) for _ in range(7)]
    assert set(codes(answers)) == {"second_factor_used"}
    assert "30" in answers[0].json()["detail"]
    assert (await invited.sign_in()).status_code == 201


async def test_wrong_activation_codes_do_not_stop_the_right_one(scenario: IdentityScenario) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    for _ in range(12):
        refused = await invited.begin(activation_code="AAAAAAAAAAAAAAAA")
        assert problem_code(refused.text) == "activation_refused"
    assert (await invited.begin()).status_code == 201
    assert (await invited.confirm()).status_code == 204


async def test_an_address_is_limited_only_behind_a_configured_proxy(
    scenario: IdentityScenario, behind_proxy: IdentityScenario
) -> None:
    forged = {"x-forwarded-for": "203.0.113.5"}
    for each, expected in ((scenario, 401), (behind_proxy, 429)):
        transport = each.staff._transport
        assert isinstance(transport, ASGITransport)
        transport.client = (PROXY, 4711)
        answers = [
            await each.staff.post("/v1/sessions", json={"login": new_login(), **WRONG}, headers=forged)
            for _ in range(51)
        ]
        assert answers[49].status_code == 401
        assert answers[50].status_code == expected
        other = await each.staff.post(
            "/v1/sessions", json={"login": new_login(), **WRONG}, headers={"x-forwarded-for": "203.0.113.6"}
        )
        assert other.status_code == 401


async def test_an_address_that_a_client_claims_itself_has_no_effect(behind_proxy: IdentityScenario) -> None:
    transport = behind_proxy.staff._transport
    assert isinstance(transport, ASGITransport)
    transport.client = (PROXY, 4711)
    registrar = await create_user_from(behind_proxy, "203.0.113.99")
    for number in range(51):
        forged = {"x-forwarded-for": f"198.51.100.{number}, 203.0.113.77"}
        answer = await behind_proxy.staff.post(
            "/v1/sessions", json={"login": new_login(), **WRONG}, headers=forged
        )
    assert answer.status_code == 429
    transport.client = ("203.0.113.77", 4711)
    direct = await behind_proxy.staff.post(
        "/v1/sessions",
        json={"login": registrar.login, **WRONG},
        headers={"x-forwarded-for": "203.0.113.99"},
    )
    assert direct.status_code == 429, "the address of a client that is no proxy is its own"
    device = {"device_token": registrar.tokens["device_token"]}
    known = {"login": registrar.login, "password": PASSWORD, "totp": registrar.totp(), **device}
    assert (await behind_proxy.staff.post("/v1/sessions", json=known)).status_code == 201


async def create_user_from(scenario: IdentityScenario, address: str) -> StaffUser:
    scenario.staff.headers["x-forwarded-for"] = address
    user = await create_staff_user(scenario, "registrar", scenario.school.id)
    del scenario.staff.headers["x-forwarded-for"]
    return user


async def test_a_success_does_not_clear_the_failures_of_an_address(behind_proxy: IdentityScenario) -> None:
    transport = behind_proxy.staff._transport
    assert isinstance(transport, ASGITransport)
    transport.client = (PROXY, 4711)
    behind_proxy.staff.headers["x-forwarded-for"] = "2001:db8:1:2::1"
    own = await create_staff_user(behind_proxy, "registrar", behind_proxy.school.id)
    body = {"login": new_login(), **WRONG}
    for _ in range(49):
        assert (await behind_proxy.staff.post("/v1/sessions", json=body | {"login": new_login()})).status_code
    behind_proxy.staff.headers["x-forwarded-for"] = "2001:db8:1:2::2"
    assert (await own.sign_in()).status_code == 201
    assert (await behind_proxy.staff.post("/v1/sessions", json=body)).status_code == 401
    assert (await behind_proxy.staff.post("/v1/sessions", json=body)).status_code == 429


async def test_old_counters_are_deleted(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    await fail(registrar, 4)
    scenario.clock.offset += timedelta(hours=25)
    context = type("Context", (), {"additional_context": {"app_context": scenario.app_context}})()
    await purge_expired(context, 0)
    assert set(codes(await fail(registrar, 5))) == {"sign_in_refused"}
