"""A thief has copied the cookie of a browser, and uses it after its owner; or before, and the owner comes after."""

from datetime import timedelta

import pytest

from tests.support.identity.browser import Browser
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "refused: session_revoked"


@pytest.mark.parametrize("thief_is_first", [True, False])
async def test_attack(identity: IdentityScenario, thief_is_first: bool) -> None:
    owner = Browser(await create_staff_user(identity, "registrar", identity.school.id))
    await owner.sign_in()
    thief = Browser(owner.user, cookie=owner.cookie)
    first, second = (thief, owner) if thief_is_first else (owner, thief)
    assert (await first.refresh()).status_code == 200
    identity.clock.offset += timedelta(minutes=9)
    answers = [await second.refresh(), await first.refresh(), await first.get("/v1/me")]
    assert {f"refused: {problem_code(answer.text)}" for answer in answers} == {EXPECTED}


async def test_attack_within_the_grace_is_found_at_the_next_refresh(identity: IdentityScenario) -> None:
    """Both hold the same successor then, and only one of them can replace it."""
    owner = Browser(await create_staff_user(identity, "registrar", identity.school.id))
    await owner.sign_in()
    thief = Browser(owner.user, cookie=owner.cookie)
    await owner.refresh()
    await thief.refresh()
    assert thief.cookie == owner.cookie
    identity.clock.offset += timedelta(minutes=9)
    assert (await owner.refresh()).status_code == 200
    identity.clock.offset += timedelta(minutes=1)
    answers = [await thief.refresh(), await owner.refresh()]
    assert {f"refused: {problem_code(answer.text)}" for answer in answers} == {EXPECTED}
