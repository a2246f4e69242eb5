"""The sign-in of staff in a browser: kept over a reload, shared by tabs, and out of reach of scripts."""

from playwright.async_api import expect

from tests.e2e.pages import Visit
from tests.e2e.system import System
from tests.e2e.test_counselor import find_counselor, sign_in


async def test_sign_in_survives_a_reload_and_ends_in_all_tabs(phone: Visit, system: System) -> None:
    page = phone.page
    await sign_in(page, system, find_counselor(system.organisation.schools[1]))
    readable = await page.evaluate("() => document.cookie + JSON.stringify({ ...localStorage })")
    for cookie in await phone.context.cookies():
        assert cookie.get("httpOnly")
        assert cookie.get("value") not in readable
    await page.reload()
    await expect(page.get_by_role("heading", level=1, name="点名")).to_be_visible()

    other = await phone.context.new_page()
    await other.goto("/c/me")
    await other.get_by_role("button", name="退出登录").click()
    for tab in (other, page):
        await expect(tab.get_by_role("heading", level=1, name="登录")).to_be_visible()
    assert await phone.context.cookies() == []
