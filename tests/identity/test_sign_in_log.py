"""The sign-in log (登录日志) and the own sessions (HN334-2.3)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.devices.tasks import purge_expired
from backend.identity.sign_in.delay_notices import load_delayed_accounts, tell_owner
from backend.notice.tables import Notice, NoticeMessage
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import StaffUser, create_staff_user, new_login

pytestmark = pytest.mark.clause("HN334-2.3")
WRONG = {"password": "wrong password"}


async def own_log(user: StaffUser) -> list[tuple[str, str | None, bool]]:
    items = (await user.get("/v1/me/sign-ins")).json()["items"]
    return [(item["outcome"], item["reason"], item["known_device"]) for item in items]


async def test_each_failure_and_the_first_refusal_of_a_delay_are_logged(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    device = registrar.tokens["device_token"]
    code = registrar.totp()
    await registrar.sign_in(totp=code)
    await registrar.sign_in(totp=code)
    await registrar.sign_in(totp="000000")
    for _ in range(4):
        await registrar.sign_in(**WRONG, totp="000000")
    await registrar.sign_in(**WRONG, totp="000000")
    for _ in range(3):
        await registrar.sign_in(**WRONG, totp="000000")
    await registrar.sign_in(device_token=device)
    assert await own_log(registrar) == [
        ("succeeded", None, True),
        ("delayed", "delay", False),
        *[("refused", "password", False)] * 4,
        ("refused", "code", False),
        ("refused", "code_used", False),
        ("succeeded", None, False),
        ("succeeded", None, False),
    ]
    (delayed, last, *_) = (await registrar.get("/v1/me/sign-ins")).json()["items"][1:3]
    assert delayed["delayed_until"] == last["delayed_until"] is not None


async def test_superiors_read_the_log_of_their_units_and_the_province_that_of_unknown_logins(
    scenario: IdentityScenario,
) -> None:
    world = scenario.world
    province = await create_staff_user(scenario, "province", world.province.id)
    bureau = await create_staff_user(scenario, "bureau", world.city.id)
    other = await create_staff_user(scenario, "bureau", world.other_city.id)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    await registrar.sign_in(**WRONG)
    await registrar.sign_in(login=new_login())

    async def refused(user: StaffUser, **search: Any) -> list[dict[str, Any]]:
        return list((await user.get("/v1/sign-ins", outcome="refused", **search)).json()["items"])

    by_account = {"account_id": str(registrar.account_id)}
    for reader, expected in ((province, 1), (bureau, 1), (registrar, 1), (other, 0)):
        assert [each["login"] for each in await refused(reader, **by_account)] == [registrar.login] * expected
    assert (await refused(province))[0]["reason"] == "login"
    assert (await refused(province))[0]["login"] is None
    for reader in (bureau, registrar):
        assert all(each["login"] for each in await refused(reader))
    assert (await counselor.get("/v1/sign-ins")).status_code == 403
    assert [outcome for outcome, _, _ in await own_log(counselor)] == ["succeeded"]


async def test_the_log_is_kept_for_a_year(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    (first,) = (await registrar.get("/v1/me/sign-ins")).json()["items"]
    context = type("Context", (), {"additional_context": {"app_context": scenario.app_context}})()
    for days, kept in ((364, True), (2, False)):
        scenario.clock.offset += timedelta(days=days)
        await purge_expired(context, 0)
        await registrar.sign_in()
        assert (first in (await registrar.get("/v1/me/sign-ins")).json()["items"]) is kept


async def test_the_own_sessions_are_listed_and_ended_one_by_one_or_together(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    tokens = [registrar.tokens]
    for _ in range(3):
        await registrar.sign_in()
        tokens.append(registrar.tokens)
    sessions = (await registrar.get("/v1/sessions")).json()
    assert [each["current"] for each in sessions] == [True, False, False, False]
    path = f"/v1/sessions/{sessions[1]['id']}"
    assert (await registrar.request("DELETE", path)).status_code == 204
    assert await statuses(registrar, tokens) == [200, 200, 401, 200]
    assert (await registrar.request("DELETE", "/v1/sessions")).status_code == 204
    assert await statuses(registrar, tokens) == [401, 401, 401, 200]
    assert [each["current"] for each in (await registrar.get("/v1/sessions")).json()] == [True]


async def statuses(user: StaffUser, tokens: list[dict[str, Any]]) -> list[int]:
    answers = []
    current = user.tokens
    for each in tokens:
        user.tokens = each
        answers.append((await user.get("/v1/me")).status_code)
    user.tokens = current
    return answers


async def test_a_session_of_another_account_is_not_found(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    other = await create_staff_user(scenario, "registrar", scenario.school.id)
    (foreign,) = (await other.get("/v1/sessions")).json()
    for session_id in (foreign["id"], str(new_id())):
        answer = await registrar.request("DELETE", f"/v1/sessions/{session_id}")
        assert (answer.status_code, problem_code(answer.text)) == (404, "not_found")
    assert (await other.get("/v1/me")).status_code == 200


async def test_the_owner_is_told_once_a_day_that_sign_ins_are_delayed(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    quiet = await create_staff_user(scenario, "registrar", scenario.school.id)
    scope = Scope.wide(scenario.world.province.path)

    async def tell() -> int:
        at = scenario.clock()
        async with scenario.app_context.database.transaction(scope) as session:
            accounts = await load_delayed_accounts(session, at)
            for account in accounts:
                await tell_owner(session, account, at)
            own = {registrar.account_id, quiet.account_id}
            return len([each for each in accounts if each.account_id in own])

    for _ in range(4):
        await registrar.sign_in(**WRONG, totp="000000")
    assert await tell() == 0
    await registrar.sign_in(**WRONG, totp="000000")
    assert [await tell(), await tell()] == [1, 0]
    async with scenario.app_context.database.transaction(scope) as session:
        query = (
            select(NoticeMessage.kind)
            .join(Notice, Notice.message_id == NoticeMessage.id)
            .where(Notice.account_id == registrar.account_id)
        )
        assert list(await session.scalars(query)) == ["sign_in_delayed"]
    scenario.clock.offset += timedelta(days=1)
    for _ in range(5):
        await registrar.sign_in(**WRONG, totp="000000")
    assert await tell() == 1


async def test_made_up_login_names_do_not_fill_the_log(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    province = await create_staff_user(scenario, "province", scenario.world.province.id)
    scenario.clock.offset += timedelta(days=97)  # away from the attempts of other tests
    for _ in range(65):
        await registrar.sign_in(login=new_login(), password="guess", totp="000000")
    await registrar.sign_in(**WRONG, totp="000000")
    await province.sign_in()
    newest = (await province.get("/v1/sign-ins", outcome="refused", limit=100)).json()["items"]
    now = scenario.clock()
    times = [(datetime.fromisoformat(each["at"]), each["reason"]) for each in newest]
    reasons = [reason for at, reason in times if now - timedelta(hours=1) < at <= now]
    assert (reasons.count("login"), reasons.count("password")) == (60, 1)
