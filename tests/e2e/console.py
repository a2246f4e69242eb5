"""What the tests of the console share: one seeded scenario, a page on a desktop computer, and the sign-in."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.pages import DESKTOP, Visit, visit
from tests.e2e.seeded import Seeded
from tests.support.identity.staff_user import PASSWORD, StaffUser


@pytest.fixture(scope="module")
async def seeded(console_scenario: Seeded) -> Seeded:
    """The scenario of all console tests, with new tokens. Each test decides other records of it."""
    await console_scenario.renew_tokens("province", "bureau", "registrar")
    return console_scenario


@pytest.fixture
async def opened(browser: Browser, seeded: Seeded) -> AsyncIterator[Visit]:
    """A page of the console on a desktop computer."""
    async with visit(browser, seeded, DESKTOP) as visited:
        yield visited
        assert visited.problems == []


async def sign_in(page: Page, staffer: StaffUser) -> None:
    """Sign in to the console with password and code."""
    await page.goto("/console/")
    await page.get_by_label("账号").fill(staffer.login)
    await page.get_by_label("密码").fill(PASSWORD)
    await page.get_by_label("动态码").fill(staffer.totp())
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.get_by_role("heading", level=1, name="工作台")).to_be_visible()
