"""The first load of each web app stays small."""

from pathlib import Path

import pytest

from backend.devstack.web import build
from bench.web import MAX_FIRST_LOAD, compressed_size, first_load_files

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.timeout(600)]

FIRST_PAGES = [
    ("m", ["src/pages/Welcome.vue"]),
    ("m", ["src/queries.ts", "src/pages/RollCalls.vue"]),
    ("c", ["src/pages/SignIn.vue"]),
    ("c", ["src/pages/RollCalls.vue"]),
    ("console", ["src/pages/SignIn.vue"]),
    ("console", ["src/pages/Home.vue"]),
]
"""App, and the sources that its entry imports for a page."""


@pytest.mark.parametrize(("app", "pages"), FIRST_PAGES)
def test_first_load_is_within_its_limit(app: str, pages: list[str]) -> None:
    build(ROOT)
    files = first_load_files(ROOT / "web" / "dist" / app, *pages)
    assert {file.suffix for file in files} == {".html", ".js", ".css"}
    assert compressed_size(files) <= MAX_FIRST_LOAD[app], sorted(
        (compressed_size({file}), file.name) for file in files
    )


def test_first_load_contains_only_the_first_language() -> None:
    build(ROOT)
    files = first_load_files(ROOT / "web" / "dist" / "m", "src/pages/Welcome.vue")
    text = "".join(file.read_text() for file in files)
    assert "注册本机" in text
    assert "Register this phone" not in text
