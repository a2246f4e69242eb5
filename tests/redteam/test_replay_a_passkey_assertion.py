"""Someone has captured the answer of a passkey, and sends it again, or to another ceremony."""

import pytest

from tests.support.identity.authenticator import Authenticator, add_passkey
from tests.support.identity.browser import Browser
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import PASSWORD, create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "refused: passkey_challenge_invalid"


async def test_attack(identity: IdentityScenario) -> None:
    victim = await create_staff_user(identity, "registrar", identity.school.id)
    own = Authenticator()
    assert (await add_passkey(victim, own)).status_code == 201
    browser = Browser(victim)
    options = (await browser.send("POST", "/v1/passkey-challenges")).json()
    captured = own.get(options)
    path = "/v1/browser-sessions/passkey"
    assert (await browser.send("POST", path, json={"credential": captured})).status_code == 201
    replayed = await Browser(victim).send("POST", path, json={"credential": captured})
    assert f"refused: {problem_code(replayed.text)}" == EXPECTED
    body = {"password": PASSWORD, "new_password": "两个黄鹂鸣翠柳-一行白鹭", "passkey": captured}
    elsewhere = await victim.post("/v1/me/password", body)
    assert f"refused: {problem_code(elsewhere.text)}" == EXPECTED


async def test_attack_with_a_confirmation_in_place_of_a_sign_in(identity: IdentityScenario) -> None:
    victim = await create_staff_user(identity, "registrar", identity.school.id)
    own = Authenticator()
    assert (await add_passkey(victim, own)).status_code == 201
    options = (await victim.post("/v1/me/passkeys/confirmation-challenges")).json()
    body = {"credential": own.get(options)}
    answer = await Browser(victim).send("POST", "/v1/browser-sessions/passkey", json=body)
    assert f"refused: {problem_code(answer.text)}" == EXPECTED
