"""The first load of the student app stays small."""

from pathlib import Path

import pytest

from backend.devstack.web import build
from bench.web import MAX_FIRST_LOAD, compressed_size, first_load_files

ROOT = Path(__file__).resolve().parents[2]
STUDENT = ROOT / "web" / "dist" / "m"

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.timeout(600)]


@pytest.mark.parametrize("page", ["Welcome", "RollCalls"])
def test_first_load_of_the_student_app_is_within_its_limit(page: str) -> None:
    build(ROOT)
    files = first_load_files(STUDENT, f"src/pages/{page}.vue")
    assert {file.suffix for file in files} == {".html", ".js", ".css"}
    assert compressed_size(files) <= MAX_FIRST_LOAD, sorted(
        (compressed_size({file}), file.name) for file in files
    )
