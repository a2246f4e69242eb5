"""First load of the student app on a slow network and processor, next to an empty page: bytes, first paint, and heading.

The first contentful paint shows that the app is opening; the heading is that of the first page.

Both pages are built by Vite and served by the same code with the same headers. Chromium's protocol throttles and measures:
slow 4G as DevTools defines it (150 ms and 1.6 Mbit/s, applied as 562 ms a request and 90 % of the rate), processor four
times slower. The repeated visit is a new page in the same browser profile, after the service worker is active.
"""

import json
import re
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Request, sync_playwright

from backend.core.clock import now
from backend.core.web.security_headers import SecurityHeadersMiddleware
from backend.core.web.web_apps import INDEX, mount_web_app
from backend.devstack.browser import ensure_browser
from backend.devstack.web import build, ensure_node
from bench.report import publish

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
ROUNDS = 5
MAX_FIRST_LOAD = {"m": 120_000, "c": 120_000, "console": 350_000}
"""Bytes (brotli) that the first load of an app may have, by the folder of its build."""
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
EMPTY_PAGE = '<!doctype html><title>empty</title><body><script type="module" src="/main.js"></script>'
EMPTY_SCRIPT = "document.body.append(Object.assign(document.createElement('h1'), { textContent: '点名' }))"
_PAINT = """new Promise((resolve) => new PerformanceObserver((list, observer) => {
  const [paint] = list.getEntriesByName('first-contentful-paint')
  if (paint) { observer.disconnect(); resolve(paint.startTime) }
}).observe({ type: 'paint', buffered: true }))"""

_NOTE_HEADING = """new MutationObserver((_, observer) => {
  if (document.querySelector('h1')) { observer.disconnect(); window.headingShownAt = performance.now() }
}).observe(document, { childList: true, subtree: true })"""


@dataclass(frozen=True, slots=True)
class Condition:
    """Network and processor: latency of a request in ms, bytes a second in each direction, factor of the processor."""

    name: str
    latency_ms: float = 0
    down: float = -1
    up: float = -1
    slower: int = 1


CONDITIONS = (
    Condition("not throttled"),
    Condition("slow 4G, CPU ×4", 150 * 3.75, 1.6e6 * 0.9 / 8, 750e3 * 0.9 / 8, 4),
)


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a page: bytes received by it, milliseconds to the first contentful paint and to the heading of the page."""

    transferred: int
    paint_ms: float
    heading_ms: float


def first_load_files(app: Path, *pages: str) -> set[Path]:
    """The files that a browser needs to show a page: what index.html names, and `pages` (source files) with all their imports."""
    manifest: dict[str, dict[str, Any]] = json.loads((app / ".vite" / "manifest.json").read_text())
    named = re.findall(rf'(?:src|href)="/{app.name}/(assets/[^"]+\.(?:js|css))"', (app / INDEX).read_text())
    names, seen, open_ = {INDEX, *named}, set(), [INDEX, *pages]
    while open_:
        key = open_.pop()
        if key not in seen:
            seen.add(key)
            names |= {manifest[key]["file"], *manifest[key].get("css", ())}
            open_ += manifest[key].get("imports", [])
    return {app / name for name in names}


def compressed_size(files: set[Path]) -> int:
    """Bytes of files as the server sends them."""
    compressed = ((file, file.with_name(file.name + ".br")) for file in files)
    return sum((brotli if brotli.exists() else file).stat().st_size for file, brotli in compressed)


def build_empty_page(folder: Path) -> None:
    """Build a page with one line of script by the same Vite, compressed by the same script."""
    source = folder / "source"
    source.mkdir()
    (source / "index.html").write_text(EMPTY_PAGE)
    (source / "main.js").write_text(EMPTY_SCRIPT)
    node = ensure_node(ROOT)
    vite = [str(WEB / "node_modules" / ".bin" / "vite"), "build", str(source), "--base=/empty/"]
    steps = (
        [*vite, f"--outDir={folder / 'empty'}", "--logLevel=error"],
        ["node", str(WEB / "scripts" / "compress.mjs"), str(folder / "empty")],
    )
    for step in steps:
        subprocess.run(step, check=True, env=node.environment(), cwd=WEB)


@contextmanager
def served(folders: dict[str, Path]) -> Iterator[str]:
    """Serve built pages by their base, with the headers of the product. Yields the origin."""
    app = FastAPI()
    app.add_middleware(SecurityHeadersMiddleware, https=False, private_prefixes=(), clock=now)
    for base, folder in folders.items():
        mount_web_app(app, base, folder)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", date_header=False))
    started = threading.Event()
    app.router.add_event_handler("startup", started.set)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            started.wait(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def load(context: BrowserContext, url: str, condition: Condition) -> Load:
    """Load a page in a new tab under a condition."""
    page = context.new_page()
    page.add_init_script(_NOTE_HEADING)
    protocol = context.new_cdp_session(page)
    finished: list[Request] = []

    def note(request: Request) -> None:  # Playwright sets an attribute on it, so no method of a list
        finished.append(request)

    page.on("requestfinished", note)
    protocol.send("Network.enable")
    limits = {"latency": condition.latency_ms, "downloadThroughput": condition.down}
    protocol.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "uploadThroughput": condition.up, **limits},
    )
    protocol.send("Emulation.setCPUThrottlingRate", {"rate": condition.slower})
    page.goto(url, wait_until="networkidle")
    page.wait_for_function("() => window.headingShownAt !== undefined")
    paint, heading = float(page.evaluate(_PAINT)), float(page.evaluate("headingShownAt"))
    received = sum(bytes_received(each) for each in finished)
    page.close()
    return Load(received, paint, heading)


def bytes_received(request: Request) -> int:
    """Headers and body of an answer. The protocol's own sum per request leaves fonts out."""
    response = request.response()
    if response is None or response.from_service_worker or request.url.startswith("data:"):
        return 0
    sizes = request.sizes()
    return sizes["responseHeadersSize"] + sizes["responseBodySize"]


def measure(browser: Browser, url: str, condition: Condition, rounds: int = ROUNDS) -> dict[str, Any]:
    """Medians of first and repeated visits, each first one with a new profile."""
    first, again = [], []
    for _ in range(rounds):
        context = browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
        first.append(load(context, url, condition))
        if url.endswith("/m/"):
            waiting = context.new_page()
            waiting.goto(url)
            waiting.evaluate("navigator.serviceWorker.ready.then(() => true)")
            waiting.close()
        again.append(load(context, url, condition))
        context.close()
    figures = {}
    for visit, loads in (("first", first), ("repeated", again)):
        figures[f"{visit}: bytes"] = round(statistics.median(each.transferred for each in loads))
        figures[f"{visit}: paint (ms)"] = round(statistics.median(each.paint_ms for each in loads))
        figures[f"{visit}: heading (ms)"] = round(statistics.median(each.heading_ms for each in loads))
    return figures


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Measure both pages under each condition."""
    build(ROOT)
    with tempfile.TemporaryDirectory() as name:
        build_empty_page(Path(name))
        folders = {"m": WEB / "dist" / "m", "empty": Path(name) / "empty"}
        with served(folders) as origin, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=ensure_browser(), args=list(ARGUMENTS))
            rows = [
                {"page": title, "condition": each.name, **measure(browser, f"{origin}/{base}/", each, rounds)}
                for each in CONDITIONS
                for base, title in (("empty", "empty Vite page"), ("m", "student app"))
            ]
            browser.close()
    return rows


def main() -> None:
    """Run and publish."""
    limit = MAX_FIRST_LOAD["m"]
    publish("web", f"an empty page built by Vite; limit of the first load: {limit} bytes", run())


if __name__ == "__main__":
    main()
