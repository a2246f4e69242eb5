"""The walks in docs/architecture.md name files that exist, follow the imports, and stay short."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MAX_FILES = {
    "an envelope from the phone to its outcome": 18,
    "a settlement to an aid withdrawal": 30,
    "a roster upload": 15,
    "a face enrolment": 17,
}
HEADING = re.compile(r"^### Walk: (.+)$", re.MULTILINE)
STEP = re.compile(r"^(\d+)\. `([\w./]+\.py)`", re.MULTILINE)


@cache
def walks() -> dict[str, list[str]]:
    """Title of each walk → the files of its numbered list."""
    _, *parts = HEADING.split(ARCHITECTURE.read_text(encoding="utf-8"))
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    files = {}
    for title, text in sections.items():
        steps = STEP.findall(re.split(r"^##", text, maxsplit=1, flags=re.MULTILINE)[0])
        assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1)), title
        files[title] = [path for _, path in steps]
    return files


def imported_names(path: str) -> set[str]:
    """Dotted names of the modules and members that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def test_every_expected_walk_is_documented() -> None:
    assert walks().keys() == MAX_FILES.keys()


@pytest.mark.parametrize("title", MAX_FILES)
def test_files_of_a_walk_exist_and_are_named_once(title: str) -> None:
    files = walks()[title]
    assert [path for path in files if not (ROOT / path).is_file()] == []
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(("title", "limit"), MAX_FILES.items())
def test_a_walk_stays_short(title: str, limit: int) -> None:
    assert 2 <= len(walks()[title]) <= limit


@pytest.mark.parametrize("title", MAX_FILES)
def test_each_file_of_a_walk_is_linked_to_another_by_an_import(title: str) -> None:
    files = walks()[title]
    imports = {path: imported_names(path) for path in files}
    unlinked = [
        path
        for path in files
        if not any(
            other != path and (module_name(path) in imports[other] or module_name(other) in imports[path])
            for other in files
        )
    ]
    assert unlinked == []
