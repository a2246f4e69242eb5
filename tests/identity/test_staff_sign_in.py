"""Staff sign-in with two factors; revocation takes effect at the next request (HN334-2.3, 3.2)."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import create_invited_user, create_staff_user

pytestmark = [pytest.mark.clause("HN334-2.3"), pytest.mark.clause("HN334-3.2")]


async def test_an_invited_counselor_can_activate_the_account(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    me = (await counselor.get("/v1/me")).json()
    assert (me["kind"], me["display_name"]) == ("counselor", "李老师")
    assert me["school_id"] == str(scenario.school.id)
    assert me["counselor_id"] is not None


async def test_signing_in_and_out_is_audited(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    await registrar.request("DELETE", "/v1/sessions/current")
    async with scenario.owner.transaction(Scope.none()) as session:
        actions = await session.scalars(
            select(AuditEntry.action)
            .where(AuditEntry.subject_type == "account", AuditEntry.subject_id == str(registrar.account_id))
            .order_by(AuditEntry.id)
        )
    assert list(actions)[-2:] == ["SignedIn", "SignedOut"]


async def test_sign_in_needs_a_confirmed_second_factor(scenario: IdentityScenario) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    await invited.begin()
    assert problem_code((await invited.sign_in()).text) == "sign_in_refused"


async def test_an_activation_code_works_once_and_for_a_week(scenario: IdentityScenario) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    late = await create_invited_user(scenario, "registrar", scenario.school.id)
    await invited.begin()
    assert (await invited.confirm()).status_code == 204
    assert problem_code((await invited.begin()).text) == "activation_refused"
    scenario.clock.offset += timedelta(days=7)
    assert problem_code((await late.begin()).text) == "activation_refused"


async def test_a_wrong_second_factor_does_not_activate(scenario: IdentityScenario) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    await invited.begin()
    wrong = f"{(int(invited.totp()) + 1) % 10**6:06d}"
    assert problem_code((await invited.confirm(totp=wrong)).text) == "activation_refused"
    assert problem_code((await invited.sign_in()).text) == "sign_in_refused"


async def test_unknown_login_wrong_password_and_wrong_code_get_the_same_answer(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    wrong = f"{(int(registrar.totp()) + 1) % 10**6:06d}"
    answers = [
        await registrar.sign_in(login="nobody.at.all"),
        await registrar.sign_in(password="wrong password"),
        await registrar.sign_in(totp=wrong),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


async def test_a_second_factor_code_is_accepted_once_even_in_parallel(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    code = registrar.totp()
    answers = await asyncio.gather(*(registrar.sign_in(totp=code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401]


async def test_the_access_token_expires_after_ten_minutes_and_is_refreshed(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    scenario.clock.offset += timedelta(minutes=10)
    expired = await registrar.get("/v1/me")
    assert (expired.status_code, problem_code(expired.text)) == (401, "token_expired")
    assert expired.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    fresh = await registrar.refresh(registrar.tokens["refresh_token"])
    registrar.tokens = fresh.json()
    assert (await registrar.get("/v1/me")).status_code == 200


async def test_a_reused_refresh_token_revokes_the_session(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    stolen = registrar.tokens["refresh_token"]
    fresh = (await registrar.refresh(stolen)).json()
    assert problem_code((await registrar.refresh(stolen)).text) == "session_revoked"
    registrar.tokens = fresh
    assert problem_code((await registrar.get("/v1/me")).text) == "session_revoked"
    assert problem_code((await registrar.refresh(fresh["refresh_token"])).text) == "session_revoked"


async def test_signing_out_takes_effect_at_the_next_request(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    assert (await registrar.request("DELETE", "/v1/sessions/current")).status_code == 204
    assert problem_code((await registrar.get("/v1/me")).text) == "session_revoked"


async def test_a_session_expires_after_a_working_day(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    scenario.clock.offset += timedelta(hours=12)
    refused = await registrar.refresh(registrar.tokens["refresh_token"])
    assert problem_code(refused.text) == "session_revoked"


async def test_a_phone_token_is_refused_by_the_staff_api(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    phone = await scenario.bind_phone(scenario.school.students[0])
    for token in (phone.token, "no.token.atall", registrar.tokens["access_token"][:-4] + "AAAA"):
        registrar.tokens["access_token"] = token
        assert problem_code((await registrar.get("/v1/me")).text) == "token_invalid"
    assert problem_code((await scenario.staff.get("/v1/me")).text) == "token_missing"


@pytest.mark.parametrize("password", ["short", "x" * 129, "twelve chars\0"])
async def test_a_password_has_12_to_128_characters(scenario: IdentityScenario, password: str) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    assert (await invited.begin(password=password)).status_code == 422
