"""The clause registry matches code and tests, and the check that proves it can fail."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from backend.policy import load_clauses, policies_directory
from backend.policy.clauses import (
    BilingualText,
    Clause,
    ClauseMarks,
    ClauseRegistry,
    Instrument,
    Status,
    find_clause_marks,
    find_registry_problems,
)

ROOT = policies_directory().parent
CLAUSES_OF_THE_DOMAIN = {
    "HN334": "2.1 2.2 2.3 2.4 3.1 3.2 3.3 3.4 3.5a 3.5b 3.5c 4.1a 4.1b 4.1c 4.1d 4.2 4.2c 5.1 5.1b 5.2",
    "MOE19": "1.1 1.2 1.2b 2.3a 2.3b 2.3c 2.4 3.5 3.6 4.7 4.8",
    "XZ69": "2.1 2.2 3.1 3.1b 3.3 5.2",
    "HRSS28": "2.1 2.2 2.3 2.4 3.2 3.3 3.4 3.5 4.1 4.2 4.3 4.3b",
    "SD13": "2 2b 2c 3 4 4.3 4.4",
    "MOE14": "2 3 4 5",
    "MOE15": "1.2 1.2b 1.3 2",
}
READINGS = {f"R{number}" for number in range(1, 26)}


def registry_with(status: Status, *code: str) -> ClauseRegistry:
    clause = Clause(
        id="HN334-3.4",
        instrument="HN334",
        article="三、4",
        title=BilingualText(zh="核验", en="Spot checks"),
        status=status,
        code=code,
    )
    return ClauseRegistry(instruments=(Instrument(id="HN334", zh="通知", en="Notice"),), clauses=(clause,))


def make_tree(root: Path, test_source: str) -> Path:
    (root / "backend").mkdir()
    (root / "backend" / "rules.py").touch()
    (root / "tests").mkdir()
    (root / "tests" / "test_rules.py").write_text(test_source, encoding="utf-8")
    return root


def find_problems(root: Path, registry: ClauseRegistry) -> list[str]:
    marks = find_clause_marks(root)
    assert marks is not None
    return find_registry_problems(registry, marks, root)


def test_implemented_clauses_have_code_and_a_test() -> None:
    assert find_problems(ROOT, load_clauses()) == []


def test_registry_contains_every_clause_and_reading() -> None:
    clauses = {f"{name}-{rule}" for name, rules in CLAUSES_OF_THE_DOMAIN.items() for rule in rules.split()}
    assert load_clauses().ids == clauses | READINGS | {"LN320"}


def test_clause_with_code_and_marked_test_is_no_problem(tmp_path: Path) -> None:
    root = make_tree(tmp_path, "@pytest.mark.clause('HN334-3.4')\ndef test_x(): ...\n")
    assert find_problems(root, registry_with(Status.IMPLEMENTED, "backend/rules.py")) == []


def test_implemented_clause_without_marked_test_is_a_problem(tmp_path: Path) -> None:
    root = make_tree(tmp_path, "def test_x(): ...\n")
    problems = find_problems(root, registry_with(Status.IMPLEMENTED, "backend/rules.py"))
    assert problems == ["HN334-3.4 is implemented, yet no test carries its mark"]


def test_planned_clause_with_marked_test_is_a_problem(tmp_path: Path) -> None:
    root = make_tree(tmp_path, "@pytest.mark.clause('HN334-3.4')\ndef test_x(): ...\n")
    assert find_problems(root, registry_with(Status.PLANNED)) == [
        "HN334-3.4 is planned, yet tests/test_rules.py::test_x carries its mark"
    ]


@pytest.mark.parametrize(
    ("status", "code", "missing"),
    [
        ("implemented", (), None),
        ("implemented", ("backend/rules.py",), BilingualText(zh="半", en="half")),
        ("partial", ("backend/rules.py",), None),
        ("partial", (), BilingualText(zh="半", en="half")),
        ("planned", ("backend/rules.py",), None),
    ],
)
def test_status_agrees_with_code_and_with_what_is_missing(
    status: str, code: tuple[str, ...], missing: BilingualText | None
) -> None:
    clause = registry_with(Status.PLANNED).clauses[0].model_dump() | {"status": status, "code": code}
    with pytest.raises(ValidationError):
        Clause.model_validate(clause | {"missing": missing})


def test_law_case_counts_as_test_of_its_clauses(tmp_path: Path) -> None:
    root = make_tree(tmp_path, "def test_x(): ...\n")
    (root / "tests" / "law").mkdir()
    cases = "cases:\n  - {name: 两次未核验, clauses: [HN334-3.4], facts: [{at: 2025-09-22 24:00}]}\n"
    (root / "tests" / "law" / "misses.yaml").write_text(cases, encoding="utf-8")
    marks = find_clause_marks(root)
    assert marks is not None
    assert marks.tests == {"HN334-3.4": ("tests/law/misses.yaml::两次未核验",)}


def test_law_file_that_does_not_parse_is_a_problem(tmp_path: Path) -> None:
    root = make_tree(tmp_path, "def test_x(): ...\n")
    (root / "tests" / "law").mkdir()
    (root / "tests" / "law" / "misses.yaml").write_text("case: []", encoding="utf-8")
    assert find_problems(root, registry_with(Status.PLANNED)) == [
        "tests/law/misses.yaml (KeyError): a clause mark needs literal clause ids in a file that parses"
    ]


def test_missing_code_file_is_a_problem(tmp_path: Path) -> None:
    root = make_tree(tmp_path, "@pytest.mark.clause('HN334-3.4')\ndef test_x(): ...\n")
    assert find_problems(root, registry_with(Status.IMPLEMENTED, "backend/gone.py")) == [
        "HN334-3.4: backend/gone.py does not exist"
    ]


def test_mark_with_unknown_clause_is_a_problem(tmp_path: Path) -> None:
    root = make_tree(tmp_path, "@pytest.mark.clause('HN334-9.9')\ndef test_x(): ...\n")
    assert find_problems(root, registry_with(Status.PLANNED)) == [
        "tests/test_rules.py::test_x: unknown clause HN334-9.9"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.clause(CLAUSE)\ndef test_x(): ...\n",
        "@pytest.mark.clause()\ndef test_x(): ...\n",
        "def (",
    ],
)
def test_unreadable_mark_is_a_problem(tmp_path: Path, source: str) -> None:
    assert find_problems(make_tree(tmp_path, source), registry_with(Status.PLANNED)) == [
        "tests/test_rules.py:1: a clause mark needs literal clause ids in a file that parses"
    ]


def test_marks_are_found_on_functions_classes_modules_and_parameters(tmp_path: Path) -> None:
    source = """
pytestmark = [pytest.mark.clause("A")]
@pytest.mark.clause("B", "C")
async def test_x(): ...
class TestY:
    @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.clause("B"))])
    def test_z(self, n): ...
"""
    assert find_clause_marks(make_tree(tmp_path, source)) == ClauseMarks(
        {
            "A": ("tests/test_rules.py",),
            "B": ("tests/test_rules.py::test_x", "tests/test_rules.py::TestY::test_z"),
            "C": ("tests/test_rules.py::test_x",),
        },
        (),
    )


def test_tree_without_tests_has_no_marks(tmp_path: Path) -> None:
    assert find_clause_marks(tmp_path) is None
