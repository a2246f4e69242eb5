"""Every main screen fits a phone and a desktop, and has no barriers. `make screens` keeps the pictures in docs/screens."""

import asyncio
import re
from collections.abc import Mapping

import pytest
from playwright.async_api import Page, Request, expect

from tests.e2e.pages import Visit
from tests.e2e.pictures import keep_picture
from tests.e2e.roll_calls import launch
from tests.e2e.student_phone import register
from tests.e2e.system import System
from tests.e2e.test_console import sign_in as sign_in_to_console
from tests.e2e.test_counselor import sign_in

pytestmark = pytest.mark.pictures

WIDTHS = {390: 844, 1280: 800}
"""Width and height of a phone and of a desktop, in CSS pixels."""
PUBLIC = {
    "student-welcome": "/m/welcome",
    "counselor-sign-in": "/c/sign-in",
    "counselor-activation": "/c/activation",
}
STUDENT = {
    "student-roll-calls": "/m/",
    "student-history": "/m/history",
    "student-leave": "/m/leave",
    "student-notices": "/m/notices",
    "student-me": "/m/me",
    "student-activation": "/m/activation",
    "student-record": "/m/activation/record",
    "student-consents": "/m/activation/consents",
    "student-face": "/m/activation/face",
    "student-verification-route": "/m/me/verification-route",
    "student-standing": "/m/me/standing",
    "student-data": "/m/me/data",
}
COUNSELOR = {
    "counselor-roll-calls": "/c/",
    "counselor-students": "/c/students",
    "counselor-me": "/c/me",
}
CONSOLE = {
    "console-home": "/console/",
    "console-roll-calls": "/console/roll-calls",
    "console-launch": "/console/roll-calls/launch",
}
TIMEOUT_S = 30
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def check_screens(visit: Visit, screens: Mapping[str, str]) -> None:
    """Open each screen and see it at each width. Collects what is wrong, so that one failure shows all."""
    wrong = []
    for name, path in screens.items():
        await open_screen(visit.page, path)
        for width, height in WIDTHS.items():
            await visit.page.set_viewport_size({"width": width, "height": height})
            await expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
            await settle(visit.page)
            await expect(visit.page.get_by_text("正在重新连接")).to_have_count(0)
            await expect_path(visit.page, path)
            await keep_picture(visit.page, f"{name}-{width}")
            wrong += [f"{name} at {width}: {each}" for each in await visit.find_barriers()]
            if too_wide := await visit.page.evaluate(TOO_WIDE):
                wrong.append(f"{name} at {width}: {too_wide} pixels too wide")
    assert wrong == []


async def open_screen(page: Page, address: str) -> None:
    """Open an address and wait until its answers have come. A stream of a live page has no end, so it does not count."""
    waiting: set[Request] = set()
    done = asyncio.Event()

    def begin(request: Request) -> None:
        if "/stream" not in request.url:
            waiting.add(request)
            done.clear()

    def end(request: Request) -> None:
        waiting.discard(request)
        if not waiting:
            done.set()

    page.on("request", begin)
    page.on("requestfinished", end)
    page.on("requestfailed", end)
    await page.goto(address)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    for _ in range(2):  # an answer may lead to the next request
        async with asyncio.timeout(TIMEOUT_S):
            await done.wait()
        await settle(page)
    page.remove_listener("request", begin)
    page.remove_listener("requestfinished", end)
    page.remove_listener("requestfailed", end)


async def expect_path(page: Page, path: str) -> None:
    """Fail if the app has gone elsewhere, as it does when a sign-in has ended: the picture would show another screen."""
    expected = re.escape(path.partition("?")[0])
    await expect(page).to_have_url(re.compile(rf"https?://[^/]+{expected}/?(\?.*)?$"))


async def settle(page: Page) -> None:
    """Wait until nothing is loading. What was loaded may load more, which begins in the next frame."""
    for _ in range(3):
        await expect(page.locator(".van-loading, .el-loading-mask, .el-skeleton")).to_have_count(0)
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def test_public_screens_fit_and_have_no_barriers(phone: Visit) -> None:
    await check_screens(phone, PUBLIC)


async def test_screens_of_a_student_fit_and_have_no_barriers(phone: Visit, system: System) -> None:
    await launch(system, system.organisation.schools[2], "早点名")
    await register(phone.page, system, system.full_time_students(2)[0])
    await check_screens(phone, STUDENT)


async def test_screens_of_a_counselor_fit_and_have_no_barriers(phone: Visit, system: System) -> None:
    school = system.organisation.schools[2]
    launched = await launch(system, school, "晚点名")
    await sign_in(phone.page, system, next(iter(school.counselors.values())))
    await check_screens(phone, {**COUNSELOR, "counselor-roll-call": f"/c/roll-calls/{launched['id']}"})


async def test_screens_of_the_console_fit_and_have_no_barriers(desktop: Visit, system: System) -> None:
    launched = await launch(system, system.organisation.schools[2], "晚自习点名")
    await sign_in_to_console(desktop.page, system, system.organisation.province)
    await check_screens(desktop, {**CONSOLE, "console-live": f"/console/roll-calls/{launched['id']}"})
