"""Passkeys of staff: registration, sign-in with user verification, and a second factor beside the code."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import func, select, update

from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from backend.identity.devices.tasks import purge_expired
from backend.identity.errors import PasskeysUnavailable
from backend.identity.passkeys.ceremonies import relying_party
from backend.identity.passkeys.tables import AnsweredChallenge
from backend.identity.tables import Account
from backend.settings import Settings
from tests.support.identity.authenticator import (
    PRESENT,
    VERIFIED,
    Authenticator,
    add_passkey,
    encode,
    sign_in_by_passkey,
)
from tests.support.identity.browser import Browser
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import PASSWORD, StaffUser, create_staff_user
from tests.support.province import PROVINCE_PATH

pytestmark = [pytest.mark.clause("HN334-2.3"), pytest.mark.clause("HN334-3.2")]

CHALLENGE_ENDS = timedelta(minutes=5)


@pytest.fixture
async def user(scenario: IdentityScenario) -> StaffUser:
    return await create_staff_user(scenario, "registrar", scenario.school.id)


@pytest.fixture
async def own(user: StaffUser) -> Authenticator:
    """An authenticator with a registered passkey of the user."""
    authenticator = Authenticator()
    answer = await add_passkey(user, authenticator)
    assert answer.status_code == 201, answer.text
    return authenticator


def outcome(answer: Response) -> tuple[int, str]:
    return answer.status_code, problem_code(answer.text)


REFUSED = (401, "passkey_refused")


async def list_audited(user: StaffUser) -> list[str]:
    async with user.scenario.owner.transaction(Scope.none()) as session:
        mine = AuditEntry.subject_type == "account", AuditEntry.subject_id == str(user.account_id)
        return list(await session.scalars(select(AuditEntry.action).where(*mine).order_by(AuditEntry.id)))


async def list_passkeys(user: StaffUser) -> list[dict[str, Any]]:
    answer = await user.get("/v1/me/passkeys")
    assert answer.status_code == 200, answer.text
    passkeys: list[dict[str, Any]] = answer.json()
    return passkeys


# --- registration ---


async def test_options_ask_for_a_discoverable_passkey_with_verification(user: StaffUser) -> None:
    options = (await user.post("/v1/me/passkeys/registration-challenges")).json()
    assert options["rp"]["id"] == "testserver"
    assert options["user"]["id"] == encode(user.account_id.bytes)
    assert options["user"]["name"] == user.login
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert (options["attestation"], options["excludeCredentials"]) == ("none", [])


async def test_registered_passkey_is_listed_and_excluded(user: StaffUser, own: Authenticator) -> None:
    (passkey,) = await list_passkeys(user)
    assert (passkey["name"], passkey["used_at"], passkey["backed_up"]) == ("办公室电脑", None, True)
    options = (await user.post("/v1/me/passkeys/registration-challenges")).json()
    assert [each["id"] for each in options["excludeCredentials"]] == [encode(own.credential_id)]
    assert (await list_audited(user))[-1] == "PasskeyRegistered"


async def test_registration_needs_a_right_code(user: StaffUser) -> None:
    wrong = f"{(int(user.totp()) + 1) % 10**6:06d}"
    answer = await add_passkey(user, Authenticator(), totp=wrong)
    assert outcome(answer) == (422, "factors_wrong")
    assert await list_passkeys(user) == []


async def test_registration_needs_exactly_one_factor(user: StaffUser, own: Authenticator) -> None:
    options = (await user.post("/v1/me/passkeys/confirmation-challenges")).json()
    both = {"totp": "000000", "passkey": own.get(options)}
    assert outcome(await add_passkey(user, Authenticator(), **both)) == (422, "malformed_request")
    none = {"totp": None}
    assert outcome(await add_passkey(user, Authenticator(), **none)) == (422, "malformed_request")


async def test_code_confirms_one_registration_only(user: StaffUser) -> None:
    code = user.totp()
    assert (await add_passkey(user, Authenticator(), totp=code)).status_code == 201
    assert outcome(await add_passkey(user, Authenticator(), totp=code)) == (401, "second_factor_used")


async def test_passkey_confirms_another_one(user: StaffUser, own: Authenticator) -> None:
    options = (await user.post("/v1/me/passkeys/confirmation-challenges")).json()
    assert [each["id"] for each in options["allowCredentials"]] == [encode(own.credential_id)]
    assertion = own.get(options)
    answer = await add_passkey(user, Authenticator(), passkey=assertion)
    assert answer.status_code == 201, answer.text
    again = await add_passkey(user, Authenticator(), passkey=assertion)
    assert outcome(again) == (422, "passkey_challenge_invalid")
    assert len(await list_passkeys(user)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"origin": "https://evil.example"},
        {"origin": "http://testserver:8080"},
        {"rp_id": "evil.example"},
    ],
)
async def test_unfit_passkey_is_not_registered(user: StaffUser, changes: dict[str, Any]) -> None:
    answer = await add_passkey(user, Authenticator(**changes))
    assert outcome(answer) == (422, "passkey_unverified")
    assert await list_passkeys(user) == []


async def test_passkey_belongs_to_one_account(user: StaffUser, own: Authenticator) -> None:
    other = await create_staff_user(user.scenario, "registrar", user.scenario.school.id)
    assert outcome(await add_passkey(other, own)) == (409, "passkey_known")
    assert await list_passkeys(other) == []


async def test_number_of_passkeys_is_limited(user: StaffUser) -> None:
    for _ in range(10):
        assert (await add_passkey(user, Authenticator())).status_code == 201
    assert outcome(await add_passkey(user, Authenticator())) == (409, "passkeys_too_many")


async def test_challenge_of_another_account_or_purpose_is_refused(user: StaffUser) -> None:
    other = await create_staff_user(user.scenario, "registrar", user.scenario.school.id)
    of_other = (await other.post("/v1/me/passkeys/registration-challenges")).json()
    for_sign_in = (await user.scenario.staff.post("/v1/passkey-challenges")).json()
    made_up = {"challenge": encode(b"x" * 56)}
    for challenge in (of_other, for_sign_in, made_up):
        own = (await user.post("/v1/me/passkeys/registration-challenges")).json()
        credential = Authenticator().create(own | {"challenge": challenge["challenge"]})
        answer = await add_passkey(user, Authenticator(), credential=credential)
        assert outcome(answer) == (422, "passkey_challenge_invalid")


async def test_registration_must_be_completed_in_time(user: StaffUser) -> None:
    options = (await user.post("/v1/me/passkeys/registration-challenges")).json()
    user.scenario.clock.offset += CHALLENGE_ENDS
    answer = await add_passkey(user, Authenticator(), credential=Authenticator().create(options))
    assert outcome(answer) == (422, "passkey_challenge_invalid")


# --- sign-in ---


async def test_passkey_signs_in_a_browser(user: StaffUser, own: Authenticator) -> None:
    browser = Browser(user)
    answer = await sign_in_by_passkey(browser, own)
    assert answer.status_code == 201, answer.text
    assert (await browser.get("/v1/me")).json()["account_id"] == str(user.account_id)
    assert (await browser.refresh()).status_code == 200
    (passkey,) = await list_passkeys(user)
    assert passkey["used_at"] is not None
    events = (await user.get("/v1/me/sign-ins")).json()["items"]
    assert events[0]["outcome"] == "succeeded"
    assert (await list_audited(user))[-1] == "SignedIn"


async def test_sign_in_options_name_no_account(user: StaffUser, own: Authenticator) -> None:
    options = (await user.scenario.staff.post("/v1/passkey-challenges")).json()
    assert (options["allowCredentials"], options["userVerification"]) == ([], "required")
    assert encode(own.credential_id) not in str(options)


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": PRESENT},
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"user_handle": encode(b"x" * 16)},
        {"credential_id": b"unknown passkey"},
    ],
)
async def test_other_assertion_is_refused(
    user: StaffUser, own: Authenticator, changes: dict[str, Any]
) -> None:
    browser = Browser(user)
    assert outcome(await sign_in_by_passkey(browser, replace(own, **changes))) == REFUSED
    assert browser.cookie is None


async def test_assertion_of_another_key_is_refused(user: StaffUser, own: Authenticator) -> None:
    forger = Authenticator(credential_id=own.credential_id, user_handle=own.user_handle)
    assert outcome(await sign_in_by_passkey(Browser(user), forger)) == REFUSED


async def test_counter_that_went_back_is_refused(user: StaffUser) -> None:
    own = Authenticator(counter=5)
    await add_passkey(user, own)
    own.counter = 6
    assert (await sign_in_by_passkey(Browser(user), own)).status_code == 201
    assert outcome(await sign_in_by_passkey(Browser(user), own)) == REFUSED
    own.counter = 7
    assert (await sign_in_by_passkey(Browser(user), own)).status_code == 201


async def test_challenge_must_be_answered_in_time(user: StaffUser, own: Authenticator) -> None:
    options = (await user.scenario.staff.post("/v1/passkey-challenges")).json()
    user.scenario.clock.offset += CHALLENGE_ENDS
    body = {"credential": own.get(options)}
    answer = await Browser(user).send("POST", "/v1/browser-sessions/passkey", json=body)
    assert outcome(answer) == (422, "passkey_challenge_invalid")


@pytest.mark.parametrize("name", ["clientDataJSON", "authenticatorData", "signature", "userHandle"])
@pytest.mark.parametrize("value", ["AA", "e30", "bnVsbA", "W10", "eyJjaGFsbGVuZ2UiOjF9", "a"])
async def test_malformed_assertion_is_refused(
    user: StaffUser, own: Authenticator, name: str, value: str
) -> None:
    assert outcome(await sign_in_by_passkey(Browser(user), own, **{name: value})) == REFUSED


@pytest.mark.parametrize("value", ["AA", "e30", "oA", "o2NmbXRkbm9uZQ", "a"])
async def test_malformed_attestation_is_refused(user: StaffUser, value: str) -> None:
    options = (await user.post("/v1/me/passkeys/registration-challenges")).json()
    credential = Authenticator().create(options)
    credential["response"]["attestationObject"] = value
    answer = await add_passkey(user, Authenticator(), credential=credential)
    assert outcome(answer) == (422, "passkey_unverified")


async def test_disabled_account_cannot_sign_in(user: StaffUser, own: Authenticator) -> None:
    async with user.scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
        mine = Account.id == user.account_id
        await session.execute(update(Account).where(mine).values(status="disabled"))
    assert outcome(await sign_in_by_passkey(Browser(user), own)) == REFUSED


async def test_passkeys_are_removed_when_a_superior_ends_the_sign_ins(
    user: StaffUser, own: Authenticator
) -> None:
    scenario = user.scenario
    bureau = await create_staff_user(scenario, "bureau", scenario.world.city.id)
    path = f"/v1/accounts/{user.account_id}"
    assert (await bureau.post(f"{path}/disable", {"reason": "离职"})).is_success
    assert (await bureau.post(f"{path}/enable", {"reason": "复职"})).is_success
    assert outcome(await sign_in_by_passkey(Browser(user), own)) == REFUSED


# --- own list, password change ---


async def test_passkey_is_renamed_and_removed(user: StaffUser, own: Authenticator) -> None:
    (passkey,) = await list_passkeys(user)
    path = f"/v1/me/passkeys/{passkey['id']}"
    renamed = await user.request("PUT", f"{path}/name", json={"name": "家里的手机"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "家里的手机")
    assert (await user.request("DELETE", path)).status_code == 204
    assert await list_passkeys(user) == []
    assert outcome(await user.request("DELETE", path)) == (404, "not_found")
    assert outcome(await sign_in_by_passkey(Browser(user), own)) == REFUSED
    assert (await list_audited(user))[-2:] == ["PasskeyRenamed", "PasskeyRemoved"]


async def test_passkeys_of_others_are_not_found(user: StaffUser, own: Authenticator) -> None:
    (passkey,) = await list_passkeys(user)
    other = await create_staff_user(user.scenario, "registrar", user.scenario.school.id)
    path = f"/v1/me/passkeys/{passkey['id']}"
    assert outcome(await other.request("DELETE", path)) == (404, "not_found")
    assert outcome(await other.request("PUT", f"{path}/name", json={"name": "x"})) == (404, "not_found")
    assert (await sign_in_by_passkey(Browser(user), own)).status_code == 201


async def test_passkey_confirms_a_new_password(user: StaffUser, own: Authenticator) -> None:
    new = "两个黄鹂鸣翠柳-一行白鹭"
    options = (await user.post("/v1/me/passkeys/confirmation-challenges")).json()
    body = {"password": PASSWORD, "new_password": new, "passkey": own.get(options)}
    assert (await user.post("/v1/me/password", body)).status_code == 204
    assert outcome(await user.post("/v1/me/password", body | {"password": new})) == (
        422,
        "passkey_challenge_invalid",
    )
    assert (await user.sign_in(password=new)).status_code == 201


async def test_passkey_alone_does_not_change_the_password(user: StaffUser, own: Authenticator) -> None:
    options = (await user.post("/v1/me/passkeys/confirmation-challenges")).json()
    body = {"password": "wrong", "new_password": "两个黄鹂鸣翠柳-一行白鹭", "passkey": own.get(options)}
    assert outcome(await user.post("/v1/me/password", body)) == (422, "factors_wrong")


# --- deployment ---


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://dianming.example/api", "dianming.example"),
        ("http://127.0.0.1:8000", "localhost"),
        ("http://localhost:8000", "localhost"),
        ("https://10.0.0.7", None),
        ("https://[2001:db8::1]", None),
    ],
)
def test_passkeys_are_for_the_name_of_the_public_address(
    settings: Settings, url: str, host: str | None
) -> None:
    own = settings.model_copy(update={"env": "development", "public_url": url})
    for cached in ("accepted_urls", "web_origins", "passkey_host"):
        own.__dict__.pop(cached, None)
    if host is None:
        with pytest.raises(PasskeysUnavailable):
            relying_party(own)
    else:
        assert relying_party(own).id == host


async def test_answered_challenges_are_deleted_when_they_have_ended(
    user: StaffUser, own: Authenticator
) -> None:
    scenario = user.scenario
    await sign_in_by_passkey(Browser(user), own)
    context = type("Context", (), {"additional_context": {"app_context": scenario.app_context}})()

    async def count() -> int:
        query = select(func.count()).select_from(AnsweredChallenge)
        recent = AnsweredChallenge.at >= scenario.clock() - timedelta(hours=1)
        async with scenario.owner.transaction(Scope.wide(PROVINCE_PATH)) as session:
            return await session.scalar(query.where(recent)) or 0

    before = await count()
    await purge_expired(context, 0)
    assert await count() == before > 0
    scenario.clock.offset += 2 * CHALLENGE_ENDS
    await purge_expired(context, 0)
    assert await count() < before
