"""Recovering an account: password, second factor, disabled accounts, several accounts of the province (HN334-2.3)."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.core.ids import new_id
from backend.core.tenancy import Scope
from backend.identity.accounts.notifications import notify_reset_decided, notify_reset_requested
from backend.identity.events import AuthenticatorResetDecided, AuthenticatorResetRequested
from backend.notice.tables import Notice, NoticeMessage
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import PASSWORD, StaffUser, create_invited_user, create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")
NEW_PASSWORD = "两个黄鹂鸣翠柳-一行白鹭上青天"


async def change_password(user: StaffUser, **changes: str) -> Any:
    body = {"password": PASSWORD, "totp": user.totp(), "new_password": NEW_PASSWORD} | changes
    return await user.post("/v1/me/password", body)


async def test_a_changed_password_ends_the_other_sessions_and_devices(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    elsewhere = registrar.tokens
    await registrar.sign_in()
    assert (await change_password(registrar)).status_code == 204
    assert (await registrar.get("/v1/me")).status_code == 200
    own, registrar.tokens = registrar.tokens, elsewhere
    assert problem_code((await registrar.get("/v1/me")).text) == "session_revoked"
    assert problem_code((await registrar.sign_in()).text) == "sign_in_refused"
    assert (await registrar.sign_in(password=NEW_PASSWORD)).status_code == 201
    for _ in range(5):
        await registrar.sign_in(password="wrong", totp="000000")
    delayed = await registrar.sign_in(
        password=NEW_PASSWORD, totp="000000", device_token=elsewhere["device_token"]
    )
    assert problem_code(delayed.text) == "too_many_attempts"
    known = await registrar.sign_in(password=NEW_PASSWORD, device_token=own["device_token"])
    assert known.status_code == 201


async def test_a_password_change_needs_both_factors_and_counts_failures(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    answers = [await change_password(registrar, password="wrong", totp="000000") for _ in range(6)]
    codes = [problem_code(answer.text) for answer in answers]
    assert codes == ["factors_wrong"] * 5 + ["too_many_attempts"]


@pytest.mark.parametrize(
    "password",
    [
        "123456789012",
        "password1234",
        "qwertyuiop12",
        "aaaaaaaaaaaa",
        "1qaz2wsx3edc",
        "woaini1314520",
        "admin@123456",
    ],
)
async def test_common_passwords_are_refused(scenario: IdentityScenario, password: str) -> None:
    invited = await create_invited_user(scenario, "registrar", scenario.school.id)
    refused = await invited.begin(password=password)
    assert (refused.status_code, problem_code(refused.text)) == (422, "password_too_common")


async def test_a_password_of_the_own_data_is_refused(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    refused = await change_password(registrar, new_password=f"{registrar.login}1")
    assert problem_code(refused.text) == "password_too_common"


async def activate_again(user: StaffUser, code: str) -> None:
    user.code = code
    for step in (user.begin, user.confirm, user.sign_in):
        answer = await step()
        assert answer.is_success, answer.text


async def test_a_second_factor_is_reset_by_two_persons_and_the_owner_activates_again(
    scenario: IdentityScenario,
) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    peer = await create_staff_user(scenario, "registrar", scenario.school.id)
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    path = f"/v1/accounts/{registrar.account_id}/authenticator-resets"
    requested = await peer.post(path, {"reason": "手机丢失，已当面核对"})
    assert (requested.status_code, requested.json()["state"]) == (201, "open")
    assert problem_code((await bureau.post(path, {"reason": "重复"})).text) == "conflict"
    decision = f"/v1/authenticator-resets/{requested.json()['id']}/decision"
    alone = await peer.post(decision, {"outcome": "approved"})
    assert (alone.status_code, problem_code(alone.text)) == (403, "not_permitted")
    assert problem_code((await registrar.post(decision, {"outcome": "approved"})).text) == "not_permitted"
    approved = await bureau.post(decision, {"outcome": "approved", "note": "已电话核对"})
    code = approved.json()["activation_code"]
    assert (approved.json()["state"], len(code)) == ("approved", 16)
    assert problem_code((await registrar.get("/v1/me")).text) == "session_revoked"
    assert problem_code((await registrar.sign_in()).text) == "sign_in_refused"
    listed = (await bureau.get("/v1/authenticator-resets")).json()["items"][0]
    assert (listed["state"], listed["activation_code"]) == ("approved", None)
    await activate_again(registrar, code)


async def test_a_refused_reset_changes_nothing(scenario: IdentityScenario) -> None:
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    second = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    path = f"/v1/accounts/{registrar.account_id}/authenticator-resets"
    reset = (await bureau.post(path, {"reason": "自称本人来电"})).json()
    decision = f"/v1/authenticator-resets/{reset['id']}/decision"
    assert (await second.post(decision, {"outcome": "refused"})).json()["activation_code"] is None
    assert (await registrar.get("/v1/me")).status_code == 200
    assert problem_code((await second.post(decision, {"outcome": "approved"})).text) == "conflict"


async def test_nobody_outside_the_unit_and_its_superiors_resets_an_authenticator(
    scenario: IdentityScenario,
) -> None:
    world = scenario.world
    bureau = await create_staff_user(scenario, "bureau", world.city.id)
    registrar = await create_staff_user(scenario, "registrar", scenario.school.id)
    counselor = await registrar.create_subordinate("counselor", scenario.school.id)
    other = await create_staff_user(scenario, "bureau", world.other_city.id)
    body = {"reason": "越权"}
    answers = [
        await registrar.post(f"/v1/accounts/{bureau.account_id}/authenticator-resets", body),
        await counselor.post(f"/v1/accounts/{registrar.account_id}/authenticator-resets", body),
        await other.post(f"/v1/accounts/{bureau.account_id}/authenticator-resets", body),
        await registrar.post(f"/v1/accounts/{new_id()}/authenticator-resets", body),
        await registrar.post(f"/v1/accounts/{registrar.account_id}/authenticator-resets", body),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 404, 403]


async def test_a_disabled_account_is_enabled_again_without_its_old_sessions(
    scenario: IdentityScenario,
) -> None:
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    registrar = await bureau.create_subordinate("registrar", scenario.school.id)
    path = f"/v1/accounts/{registrar.account_id}"
    assert problem_code((await bureau.post(f"{path}/enable", {"reason": "未停用"})).text) == "conflict"
    await bureau.post(f"{path}/disable", {"reason": "停职"})
    enabled = await bureau.post(f"{path}/enable", {"reason": "复职"})
    assert (enabled.status_code, enabled.json()["status"]) == (200, "active")
    assert problem_code((await registrar.get("/v1/me")).text) == "session_revoked"
    assert (await registrar.sign_in()).status_code == 201


async def test_an_account_disabled_before_its_activation_is_invited_again(scenario: IdentityScenario) -> None:
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    account_id = (await bureau.invite("registrar", scenario.school.id)).json()["account_id"]
    await bureau.post(f"/v1/accounts/{account_id}/disable", {"reason": "误建"})
    enabled = await bureau.post(f"/v1/accounts/{account_id}/enable", {"reason": "改正"})
    assert enabled.json()["status"] == "invited"
    assert (await bureau.post(f"/v1/accounts/{account_id}/invitation")).status_code == 200


async def test_province_accounts_invite_and_disable_each_other_but_not_themselves(
    scenario: IdentityScenario,
) -> None:
    province = await create_staff_user(scenario, "province", scenario.world.province.id)
    second = await province.create_subordinate("province", scenario.world.province.id)
    assert (await second.get("/v1/me")).json()["kind"] == "province"
    own = await province.post(f"/v1/accounts/{province.account_id}/disable", {"reason": "本人"})
    assert problem_code(own.text) == "conflict"
    disabled = await second.post(f"/v1/accounts/{province.account_id}/disable", {"reason": "离任"})
    assert disabled.status_code == 200
    assert problem_code((await province.get("/v1/me")).text) == "session_revoked"
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    assert (await bureau.invite("province", scenario.world.province.id)).status_code == 404


async def test_the_owner_and_the_other_administrators_are_told_of_a_reset(scenario: IdentityScenario) -> None:
    owner = await create_staff_user(scenario, "registrar", scenario.school.id)
    requester = await create_staff_user(scenario, "registrar", scenario.school.id)
    peer = await create_staff_user(scenario, "registrar", scenario.school.id)
    path = f"/v1/accounts/{owner.account_id}/authenticator-resets"
    reset = (await requester.post(path, {"reason": "手机丢失"})).json()
    at, unit = scenario.clock(), scenario.school.path
    ids: dict[str, Any] = {"path": unit, "account_id": owner.account_id, "reset_id": UUID(reset["id"])}
    async with scenario.app_context.database.transaction(Scope.wide(unit)) as session:
        await notify_reset_requested(session, AuthenticatorResetRequested(**ids), at)
        await notify_reset_decided(session, AuthenticatorResetDecided(**ids, outcome="refused"), at)
        query = (
            select(Notice.account_id, NoticeMessage.kind)
            .join(NoticeMessage, NoticeMessage.id == Notice.message_id)
            .where(NoticeMessage.group_id == UUID(reset["id"]))
        )
        told = {(account_id, kind) for account_id, kind in await session.execute(query)}
    assert {
        (owner.account_id, "authenticator_reset_requested"),
        (owner.account_id, "authenticator_reset_decided"),
        (peer.account_id, "authenticator_reset_waiting"),
    } <= told
    assert requester.account_id not in {account_id for account_id, _ in told}
