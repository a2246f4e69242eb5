"""How long a check-in takes a student in the browser: from the first tap to the receipt and to the verdict, and the taps.

The system and the actor are those of the browser tests, so the challenge, the film and the verdict are real. Only the
student's own pause between the two taps is missing. It takes about five minutes.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from alembic import command
from playwright.async_api import async_playwright, expect

from backend.commands.deployment.migrate_command import alembic_config
from backend.devstack.browser import ensure_browser
from backend.devstack.services import Stack, create_database, drop_database
from backend.devstack.web import build
from bench.report import publish
from tests.e2e.camera import FakeCamera, plain_picture
from tests.e2e.pages import CHROMIUM, PHONE, visit
from tests.e2e.roll_calls import launch
from tests.e2e.student_phone import STUDENT, Actor, Student, activate, find_record, perform
from tests.e2e.system import ROOT, System, running_system, system_settings

DATABASE = "check_in_time"
SOCKETS = "DIANMING_TEST_SOCKETS"
"""Set where `make bench` started services."""
ROUNDS = 12
expect.set_options(timeout=60_000)
TAPS = 2


@dataclass(frozen=True, slots=True)
class Timed:
    """One check-in; seconds since the first tap, except the last cue, which counts from the start of the burst."""

    actions: int
    last_cue: float
    ready: float
    receipt: float
    verdict: float
    finding: str

    def row(self, title: str) -> dict[str, Any]:
        """As a row of the table."""
        return {
            "check-in": title,
            "actions": self.actions,
            "last cue (s)": self.last_cue,
            "ready (s)": self.ready,
            "receipt (s)": self.receipt,
            "verdict (s)": self.verdict,
            "taps": TAPS,
            "finding": self.finding,
        }


@asynccontextmanager
async def student_of_a_system(stack: Stack, folder: Path) -> AsyncIterator[tuple[System, Student]]:
    """The system of the browser tests with a student who is activated."""
    settings = system_settings(stack.app_url, stack.owner_url, stack.redis_url, folder)
    camera = FakeCamera(folder / "film.mjpeg", plain_picture((90, 90, 90)))
    film = f"--use-file-for-fake-video-capture={camera.path}"
    async with running_system(settings, folder) as system, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=ensure_browser(), args=[*CHROMIUM, film])
        async with visit(browser, system, PHONE) as opened:
            student = Student(opened, Actor(camera, STUDENT), find_record(system))
            await activate(opened, system, student.record, student.actor)
            yield system, student
        await browser.close()


async def time_check_in(system: System, student: Student, title: str) -> Timed:
    """Launch a roll call and check in with two taps."""
    page = student.visit.page
    await launch(system, system.organisation.schools[0], title)
    student.actor.rehearse()
    await student.visit.context.set_geolocation(student.actor.stand(0))
    await page.goto("/m/")
    start = page.get_by_role("region", name=title).get_by_role("button", name="开始核验")
    await expect(start).to_be_visible()
    began = perf_counter()
    async with (
        page.expect_response(lambda answer: answer.url.endswith("/challenges")) as challenged,
        page.expect_response(lambda answer: answer.url.endswith("/envelopes")) as received,
    ):
        await start.click()
        await expect(page.get_by_role("button", name="我准备好了")).to_be_enabled()
        ready = perf_counter() - began
        await perform(student.visit, student.actor, north_m=0)
    await received.value
    receipt = perf_counter() - began
    await expect(page.locator(".result")).to_be_visible()
    verdict = perf_counter() - began
    challenge = await (await challenged.value).json()
    cues = [each["cue_ms"] / 1000 for each in challenge["actions"]]
    finding = await page.locator(".result .title").inner_text()
    return Timed(len(cues), cues[-1], ready, receipt, verdict, finding)


async def measure(stack: Stack) -> list[dict[str, Any]]:
    """All check-ins, then median and worst."""
    with tempfile.TemporaryDirectory() as name:
        async with student_of_a_system(stack, Path(name)) as (system, student):
            timed = [await time_check_in(system, student, f"第{each + 1}次点名") for each in range(ROUNDS)]
    rows = [each.row(str(number + 1)) for number, each in enumerate(timed)]
    for title, choose in (("median", statistics.median), ("worst", max)):
        figures = {
            name: round(choose(row[name] for row in rows), 3)
            for name in ("actions", "last cue (s)", "ready (s)", "receipt (s)", "verdict (s)", "taps")
        }
        rows.append({"check-in": title, **figures, "finding": ""})
    return rows


def main() -> None:
    """Run and publish, on a database of its own. Exits with a message where no services were started."""
    if SOCKETS not in os.environ:
        sys.exit(
            "这个基准测试需要数据库等服务，请运行 make bench ARGS=check-in-time。\n"
            "This benchmark needs services. Run: make bench ARGS=check-in-time"
        )
    build(ROOT)
    stack = Stack.from_environment(os.environ)
    drop_database(stack, DATABASE)
    stack = create_database(stack, DATABASE)
    command.upgrade(alembic_config(stack.owner_url), "heads")
    rows = asyncio.run(measure(stack))
    drop_database(stack, DATABASE)
    publish("check-in-time", "the goal of 15 s and two taps", rows)


if __name__ == "__main__":
    main()
