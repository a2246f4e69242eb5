"""A page of another site makes the browser of a signed-in registrar send requests, which then carry the cookie."""

import pytest

from tests.support.identity.browser import OWN_ORIGIN, Browser
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import create_staff_user

pytestmark = pytest.mark.clause("HN334-2.3")
EXPECTED = "refused: origin_refused"

ORIGINS = [
    None,
    "",
    "null",
    "https://evil.example",
    "http://testserver.evil.example",
    "http://testserver:8080",
    "https://testserver",
    "http://testserver/",
    "http://TESTSERVER",
    f"{OWN_ORIGIN}, https://evil.example",
]


@pytest.mark.parametrize("origin", ORIGINS)
async def test_attack(identity: IdentityScenario, origin: str | None) -> None:
    user = await create_staff_user(identity, "registrar", identity.school.id)
    browser = Browser(user)
    await browser.sign_in()
    cookie, browser.origin = browser.cookie, origin
    for attempt in (browser.refresh(), browser.sign_out(), browser.sign_in()):
        answer = await attempt
        assert f"refused: {problem_code(answer.text)}" == EXPECTED
        assert "set-cookie" not in answer.headers
    browser.origin = OWN_ORIGIN
    assert browser.cookie == cookie
    assert (await browser.refresh()).status_code == 200
