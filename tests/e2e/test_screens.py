"""Every main screen fits a phone and a desktop, and has no barriers. `make screens` keeps the pictures in docs/screens."""

import os
from collections.abc import Mapping
from pathlib import Path

from playwright.async_api import Page, expect

from tests.e2e.pages import Visit
from tests.e2e.roll_calls import launch
from tests.e2e.student_phone import register
from tests.e2e.system import System
from tests.e2e.test_counselor import sign_in

FOLDER = "DIANMING_SCREENS"
"""Names the folder for the pictures; without it none are kept."""
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
}
COUNSELOR = {
    "counselor-roll-calls": "/c/",
    "counselor-tasks": "/c/tasks",
    "counselor-students": "/c/students",
    "counselor-me": "/c/me",
}
_TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def check_screens(visit: Visit, screens: Mapping[str, str]) -> None:
    """Open each screen at each width. Collects what is wrong, so that one failure shows all."""
    wrong = []
    for name, path in screens.items():
        for width, height in WIDTHS.items():
            await visit.page.set_viewport_size({"width": width, "height": height})
            await visit.page.goto(path)
            await expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
            await settle(visit.page)
            await keep_picture(visit.page, f"{name}-{width}")
            wrong += [f"{name} at {width}: {each}" for each in await visit.find_barriers()]
            if too_wide := await visit.page.evaluate(_TOO_WIDE):
                wrong.append(f"{name} at {width}: {too_wide} pixels too wide")
    assert wrong == []


async def settle(page: Page) -> None:
    """Wait until nothing is loading. What was loaded may load more, which begins in the next frame."""
    for _ in range(3):
        await expect(page.locator(".van-loading")).to_have_count(0)
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def keep_picture(page: Page, name: str) -> None:
    """Keep a picture of the page, if pictures are wanted."""
    if folder := os.environ.get(FOLDER):
        await page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


async def test_public_screens_fit_and_have_no_barriers(phone: Visit) -> None:
    await check_screens(phone, PUBLIC)


async def test_screens_of_a_student_fit_and_have_no_barriers(phone: Visit, system: System) -> None:
    await register(phone.page, system, system.full_time_students(2)[0])
    await check_screens(phone, STUDENT)


async def test_screens_of_a_counselor_fit_and_have_no_barriers(phone: Visit, system: System) -> None:
    school = system.organisation.schools[2]
    launched = await launch(system, school, "晚点名")
    await sign_in(phone.page, system, next(iter(school.counselors.values())))
    await check_screens(phone, {**COUNSELOR, "counselor-roll-call": f"/c/roll-calls/{launched['id']}"})
