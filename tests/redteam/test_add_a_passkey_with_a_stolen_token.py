"""A thief of an access token adds a passkey of the own, to keep the account after the token has expired."""

import pytest

from tests.support.identity.authenticator import Authenticator, add_passkey, sign_in_by_passkey
from tests.support.identity.browser import Browser
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "refused: factors_wrong"


async def test_attack(identity: IdentityScenario) -> None:
    victim = await create_staff_user(identity, "registrar", identity.school.id)
    thief = Authenticator()
    guessed = await add_passkey(victim, thief, totp="000000")
    assert f"refused: {problem_code(guessed.text)}" == EXPECTED
    options = (await victim.post("/v1/me/passkeys/confirmation-challenges")).json()
    by_itself = await add_passkey(victim, thief, passkey=thief.get(options))
    assert f"refused: {problem_code(by_itself.text)}" == EXPECTED
    assert (await sign_in_by_passkey(Browser(victim), thief)).status_code == 401


async def test_attack_by_guessing_codes_is_delayed(identity: IdentityScenario) -> None:
    victim = await create_staff_user(identity, "registrar", identity.school.id)
    codes = [
        problem_code((await add_passkey(victim, Authenticator(), totp=f"{guess:06d}")).text)
        for guess in range(7)
    ]
    assert f"refused: {codes[0]}" == EXPECTED
    assert codes[-1] == "too_many_attempts"
