"""Browser contexts of the tests: a phone with camera and position, and what must not happen on any page."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Geolocation, Page

from tests.e2e.system import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
)
"""Options of the browser, besides its film."""
SERIOUS = frozenset({"serious", "critical"})
_AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # of the rules that a page passes, the nodes are not described
    "selectors": False,
}
CAMPUS = Geolocation(longitude=113.5312, latitude=34.8203, accuracy=18)
"""On the campus of the first school."""
PERMISSIONS = ("camera", "geolocation")
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}


@cache
def _axe_source() -> str:
    return AXE.read_text(encoding="utf-8")


class Served(Protocol):
    """What a browser can visit."""

    @property
    def url(self) -> str: ...


_TRANSITIONS_ENDED = """() => Promise.allSettled(
  document.getAnimations().filter((each) => each instanceof CSSTransition).map((each) => each.finished))"""


@dataclass(slots=True)
class Visit:
    """A page and what went wrong on it."""

    page: Page
    context: BrowserContext
    origin: str
    problems: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record violations of the content security policy, uncaught errors, and requests to other servers."""
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("console", lambda message: self._read(message.text))
        self.page.on("request", lambda request: self._check(request.url))

    def _read(self, text: str) -> None:
        if "Content Security Policy" in text or "Permissions policy" in text:
            self.problems.append(text)

    def _check(self, url: str) -> None:
        if urlsplit(url).scheme in {"http", "https"} and not url.startswith(self.origin + "/"):
            self.problems.append(f"request to another server: {url}")

    async def find_barriers(self) -> list[str]:
        """Serious and critical findings of axe-core on the page as it is now (WCAG 2.2 A and AA)."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(_axe_source())
        await self.page.evaluate(
            _TRANSITIONS_ENDED
        )  # a button that was just enabled still has its old colours
        found = await self.page.evaluate("options => axe.run(document, options)", _AXE_OPTIONS)
        return [
            f"{each['id']}: {node['html'][:120]}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]


@asynccontextmanager
async def visit(browser: Browser, system: Served, device: dict[str, Any]) -> AsyncIterator[Visit]:
    """A page in a new context on a device."""
    context = await browser.new_context(
        **device,
        base_url=system.url,
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        permissions=list(PERMISSIONS),
        geolocation=CAMPUS,
        reduced_motion="reduce",  # axe would measure colours in the middle of a transition
    )
    context.set_default_timeout(60_000)  # milliseconds
    opened = Visit(await context.new_page(), context, system.url)
    opened.watch()
    try:
        yield opened
    finally:
        await context.close()


@asynccontextmanager
async def observed(
    opened: Visit, failed_picture: Path, has_failed: Callable[[], bool]
) -> AsyncIterator[None]:
    """Fail if anything went wrong on the page during a test. If the test failed, a picture shows the page."""
    opened.problems.clear()
    yield
    if has_failed():
        failed_picture.parent.mkdir(parents=True, exist_ok=True)
        await opened.page.screenshot(path=failed_picture)
    assert opened.problems == []
