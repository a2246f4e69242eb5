"""Staff in a browser: the refresh token is in a cookie, and two tabs or a lost answer sign nobody out."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from backend.core.tables import AuditEntry
from backend.core.tenancy import Scope
from tests.support.identity.browser import Browser
from tests.support.identity.scenario import IdentityScenario, problem_code
from tests.support.identity.staff_user import StaffUser, create_staff_user

pytestmark = [pytest.mark.clause("HN334-2.3"), pytest.mark.clause("HN334-3.2")]

AFTER_GRACE = timedelta(seconds=30)


@pytest.fixture
async def user(scenario: IdentityScenario) -> StaffUser:
    return await create_staff_user(scenario, "registrar", scenario.school.id)


@pytest.fixture
async def browser(user: StaffUser) -> Browser:
    """A browser that is signed in."""
    browser = Browser(user)
    answer = await browser.sign_in()
    assert answer.status_code == 201, answer.text
    return browser


async def list_audited(user: StaffUser) -> list[str]:
    async with user.scenario.owner.transaction(Scope.none()) as session:
        mine = AuditEntry.subject_type == "account", AuditEntry.subject_id == str(user.account_id)
        return list(await session.scalars(select(AuditEntry.action).where(*mine).order_by(AuditEntry.id)))


async def test_refresh_token_is_only_in_a_cookie_of_this_host(user: StaffUser) -> None:
    browser = Browser(user)
    answer = await browser.sign_in()
    assert "refresh_token" not in answer.json()
    assert browser.cookie is not None
    assert browser.cookie not in answer.text
    assert browser.attributes == {
        "path": "/",
        "max-age": browser.attributes["max-age"],
        "secure": "True",
        "httponly": "True",
        "samesite": "strict",
    }
    assert 12 * 3600 - 5 <= int(browser.attributes["max-age"]) <= 12 * 3600
    assert answer.headers["cache-control"] == "no-store"
    assert (await browser.get("/v1/me")).status_code == 200


async def test_page_that_is_loaded_again_gets_an_access_token(browser: Browser) -> None:
    old, browser.access_token = browser.cookie, None
    answer = await browser.refresh()
    assert answer.status_code == 200, answer.text
    assert browser.cookie not in (None, old)
    assert (await browser.get("/v1/me")).status_code == 200


async def test_browser_without_a_cookie_is_told_to_sign_in(user: StaffUser) -> None:
    answer = await Browser(user).refresh()
    assert (answer.status_code, problem_code(answer.text)) == (401, "token_missing")


async def test_two_tabs_at_once_stay_signed_in(browser: Browser) -> None:
    shared = browser.cookie
    tabs = [Browser(browser.user, cookie=shared) for _ in range(8)]
    answers = await asyncio.gather(*(tab.refresh() for tab in tabs))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({tab.cookie for tab in tabs}) == 1
    browser.user.scenario.clock.offset += timedelta(minutes=5)
    assert (await tabs[0].refresh()).status_code == 200


async def test_lost_answer_is_repeated_within_the_grace(browser: Browser) -> None:
    lost = Browser(browser.user, cookie=browser.cookie)
    await lost.refresh()
    browser.user.scenario.clock.offset += timedelta(seconds=25)
    assert (await browser.refresh()).status_code == 200
    assert browser.cookie == lost.cookie
    browser.user.scenario.clock.offset += timedelta(minutes=5)
    assert (await browser.refresh()).status_code == 200


async def test_token_has_one_successor_during_the_grace(browser: Browser) -> None:
    late = browser.cookie
    await browser.refresh()
    successor = browser.cookie
    await browser.refresh()
    assert browser.cookie == successor, "a page that is loaded again at once keeps its token"
    assert (await Browser(browser.user, cookie=late).refresh()).status_code == 200


async def test_replaced_cookie_revokes_the_session_after_the_grace(browser: Browser) -> None:
    stolen = browser.cookie
    await browser.refresh()
    browser.user.scenario.clock.offset += AFTER_GRACE
    thief = Browser(browser.user, cookie=stolen)
    answer = await thief.refresh()
    assert (answer.status_code, problem_code(answer.text)) == (401, "session_revoked")
    assert thief.cookie is None
    assert problem_code((await browser.get("/v1/me")).text) == "session_revoked"
    assert problem_code((await browser.refresh()).text) == "session_revoked"
    assert browser.cookie is None
    assert (await list_audited(browser.user))[-1] == "RefreshTokenReused"


async def test_session_of_a_browser_ends_after_a_working_day(browser: Browser) -> None:
    browser.user.scenario.clock.offset += timedelta(hours=12)
    assert problem_code((await browser.refresh()).text) == "session_revoked"
    assert browser.cookie is None


async def test_signing_out_ends_the_session_and_removes_the_cookie(browser: Browser) -> None:
    kept = browser.cookie
    assert (await browser.sign_out()).status_code == 204
    assert browser.cookie is None
    assert problem_code((await browser.get("/v1/me")).text) == "session_revoked"
    assert problem_code((await browser.refresh(kept)).text) == "session_revoked"
    assert (await list_audited(browser.user))[-1] == "SignedOut"


async def test_signing_out_works_when_the_access_token_has_expired(browser: Browser) -> None:
    browser.user.scenario.clock.offset += timedelta(minutes=11)
    assert (await browser.sign_out()).status_code == 204
    assert (await list_audited(browser.user))[-1] == "SignedOut"


@pytest.mark.parametrize("cookie", [None, "nonsense", "00000000-0000-0000-0000-000000000000.x"])
async def test_signing_out_without_a_session_removes_the_cookie(user: StaffUser, cookie: str | None) -> None:
    browser = Browser(user, cookie=cookie)
    assert (await browser.sign_out()).status_code == 204
    assert browser.cookie is None


async def test_signing_out_with_an_older_token_ends_nothing(browser: Browser) -> None:
    for _ in range(2):
        old = browser.cookie
        await browser.refresh()
        browser.user.scenario.clock.offset += AFTER_GRACE
    await browser.refresh()
    await Browser(browser.user, cookie=old).sign_out()
    assert (await browser.refresh()).status_code == 200


async def test_signing_out_by_the_access_token_removes_the_cookie_too(browser: Browser) -> None:
    kept = browser.cookie
    headers = {"Authorization": f"Bearer {browser.access_token}"}
    path = "/v1/sessions/current"
    staff = browser.user.scenario.staff
    answer = await staff.delete(path, headers=headers | {"Cookie": f"__Host-dianming-session={kept}"})
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_app_and_browser_do_not_share_tokens(browser: Browser) -> None:
    """Outside its cookie, the token of a browser can only be a stolen one."""
    user, cookie = browser.user, browser.cookie
    assert cookie is not None
    of_app = Browser(user, cookie=user.tokens["refresh_token"])
    assert problem_code((await of_app.refresh()).text) == "session_revoked"
    assert (await user.refresh(user.tokens["refresh_token"])).status_code == 200
    assert problem_code((await user.refresh(cookie)).text) == "session_revoked"
    assert problem_code((await browser.refresh()).text) == "session_revoked"


async def test_disabled_account_is_signed_out(browser: Browser) -> None:
    bureau = await create_staff_user(browser.user.scenario, "bureau", browser.user.scenario.world.city.id)
    path = f"/v1/accounts/{browser.user.account_id}/disable"
    assert (await bureau.post(path, {"reason": "离职"})).is_success
    assert problem_code((await browser.refresh()).text) == "session_revoked"
