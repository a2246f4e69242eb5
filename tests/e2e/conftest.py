"""Fixtures of the browser tests: one system and one Chromium for all of them."""

import os
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

from backend.core.app_context import AppContext
from backend.core.database import Database
from backend.devstack.browser import ensure_browser
from backend.devstack.web import build
from tests.conftest import REDIS, database_url
from tests.e2e.camera import FakeCamera, plain_picture
from tests.e2e.pages import CAMPUS, CHROMIUM, DESKTOP, PERMISSIONS, PHONE, Visit, observed, visit
from tests.e2e.seeded import Seeded, serve_scenario
from tests.e2e.student_phone import STUDENT, Actor, Student, activate, find_record
from tests.e2e.system import ROOT, System, running_system, system_settings

expect.set_options(timeout=60_000)  # milliseconds: a busy machine is no failure
HAS_FAILED = pytest.StashKey[bool]()
FOLDER = Path(__file__).parent
FAILED = ROOT / ".local" / "e2e"
"""Pictures of the pages of failed tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that share one system in one process, and those of seeded scenarios in another one."""
    for item in items:
        if item.path.parent == FOLDER and isinstance(item, pytest.Function):
            group = "e2e_seeded" if "seeded" in item.fixturenames else "e2e"
            item.add_marker(pytest.mark.xdist_group(group))
            item.add_marker(pytest.mark.timeout(300))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the fixtures of a failed test, so that they can take a picture."""
    report = yield
    if call.when == "call":
        item.stash[HAS_FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
async def system(
    create_migrated_database: Callable[[str], AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[System]:
    """The running system with the built web apps."""
    build(ROOT)
    folder = tmp_path_factory.mktemp("system")
    with create_migrated_database("e2e") as name:
        app, owner = database_url(name, "dianming_app"), database_url(name, "dianming_owner")
        settings = system_settings(app, owner, os.environ[REDIS], folder)
        async with running_system(settings, folder) as started:
            yield started


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> FakeCamera:
    """What the browser's camera sees."""
    return FakeCamera(tmp_path_factory.mktemp("camera") / "film.mjpeg", plain_picture((90, 90, 90)))


@pytest.fixture(scope="session")
async def browser(camera: FakeCamera) -> AsyncIterator[Browser]:
    """Debian's Chromium with a fake camera."""
    film = f"--use-file-for-fake-video-capture={camera.path}"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=ensure_browser(), args=[*CHROMIUM, film])
        yield launched
        await launched.close()


@asynccontextmanager
async def observe(opened: Visit, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Observe a page during the test of a fixture."""

    def has_failed() -> bool:
        return bool(request.node.stash.get(HAS_FAILED, False))

    async with observed(opened, FAILED / f"{request.node.name}-{request.fixturename}.png", has_failed):
        yield


@pytest.fixture
async def phone(browser: Browser, system: System, request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    """A page on a new phone, on the campus of the first school."""
    async with visit(browser, system, PHONE) as opened, observe(opened, request):
        yield opened


@pytest.fixture
async def desktop(browser: Browser, system: System, request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    """A page on a desktop computer."""
    async with visit(browser, system, DESKTOP) as opened, observe(opened, request):
        yield opened


@pytest.fixture(scope="session")
async def activated(browser: Browser, system: System, camera: FakeCamera) -> AsyncIterator[Student]:
    """The phone of a student who did each step of the activation."""
    async with visit(browser, system, PHONE) as opened:
        student = Student(opened, Actor(camera, STUDENT), find_record(system))
        await activate(opened, system, student.record, student.actor)
        await opened.page.goto("about:blank")
        yield student


@pytest.fixture
async def student(activated: Student, request: pytest.FixtureRequest) -> AsyncIterator[Student]:
    """The same student at the start page, with network, camera and position."""
    await activated.visit.context.set_offline(False)
    await activated.visit.context.grant_permissions(list(PERMISSIONS))
    await activated.visit.context.set_geolocation(CAMPUS)
    async with observe(activated.visit, request):
        yield activated
    await activated.visit.page.goto("about:blank")  # an open camera would slow down the tests that follow


@pytest.fixture(scope="session")
async def console_scenario(app_context: AppContext, owner: Database) -> AsyncIterator[Seeded]:
    """One system for all tests of the console that decide records of a scenario."""
    build(ROOT)
    async with serve_scenario(app_context, owner) as served:
        yield served


@pytest.fixture(scope="module")
async def seeded(app_context: AppContext, owner: Database) -> AsyncIterator[Seeded]:
    """A system of its own for the tests of a module, with one of everything that waits for a decision."""
    build(ROOT)
    async with serve_scenario(app_context, owner) as served:
        yield served
