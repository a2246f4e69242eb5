"""The clause registry: which code implements a clause of an instrument, and which tests show it.

`policies/clauses.yaml` lists every clause. Tests have the mark `@pytest.mark.clause("HN334-3.4")`, and a law case in
`tests/law` lists its clauses. Both are read from the files, so the report needs no test run.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, model_validator

from backend.policy.schema import NonEmptyText, StrictModel


class Status(StrEnum):
    IMPLEMENTED = "implemented"
    PARTIAL = "partial"
    PLANNED = "planned"


class Instrument(StrictModel):
    """A notice, a law, or the product's own operating rules."""

    id: NonEmptyText
    zh: NonEmptyText
    en: NonEmptyText


class BilingualText(StrictModel):
    zh: NonEmptyText
    en: NonEmptyText


class Clause(StrictModel):
    """A rule: its source, a title in our words, and whether the product implements it.

    `code` lists files by their path from the root. A partial clause says in `missing` what is not built yet; a planned
    one has no code.
    """

    id: Annotated[str, Field(pattern=r"^([A-Z]+[0-9]+(-[0-9]+(\.[0-9]+)?[a-d]?)?|R[0-9]{1,2})$")]
    instrument: NonEmptyText
    article: NonEmptyText
    title: BilingualText
    status: Annotated[Status, Field(strict=False)]
    missing: BilingualText | None = None
    code: Annotated[tuple[str, ...], Field(strict=False)] = ()
    touches: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _check_code(self) -> Self:
        if (self.status is Status.PLANNED) == bool(self.code):
            raise ValueError(f"{self.id} is {self.status} but lists {'code' if self.code else 'no code'}")
        if (self.status is Status.PARTIAL) != (self.missing is not None):
            raise ValueError(f"{self.id}: exactly a partial clause says what is missing")
        return self


class ClauseRegistry(StrictModel):
    """All instruments and clauses in the order of the file. Ids are unique, and every cited id exists."""

    instruments: Annotated[tuple[Instrument, ...], Field(strict=False)]
    clauses: Annotated[tuple[Clause, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        instruments = [item.id for item in self.instruments]
        clauses = [item.id for item in self.clauses]
        for name in {name for ids in (instruments, clauses) for name in ids if ids.count(name) > 1}:
            raise ValueError(f"{name} is listed twice")
        for clause in self.clauses:
            if clause.instrument not in instruments:
                raise ValueError(f"{clause.id} cites the unknown instrument {clause.instrument}")
            for touched in clause.touches:
                if touched not in clauses:
                    raise ValueError(f"{clause.id} touches the unknown clause {touched}")
        return self

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(clause.id for clause in self.clauses)


@dataclass(frozen=True, slots=True)
class ClauseMarks:
    """The clauses that tests and law cases cite, and the citations that could not be read."""

    tests: Mapping[str, tuple[str, ...]]
    """Clause id → test ids: `tests/org/test_calendar.py::test_x` (for a mark on a class or module, that one's id), and
    `tests/law/HN334/misses.yaml::name of the case`."""
    unreadable: tuple[str, ...]
    """Files that do not parse, and marks with an argument that is not a literal string, with their line."""


def find_clause_marks(root: Path) -> ClauseMarks | None:
    """Find the citations in `root/tests` without importing it. Returns None if there are no tests (in a wheel)."""
    if not (root / "tests").is_dir():
        return None
    tests: dict[str, list[str]] = defaultdict(list)
    unreadable: list[str] = []
    for path in sorted((root / "tests").rglob("*.py")):
        _add_test_marks(path, path.relative_to(root).as_posix(), tests, unreadable)
    for path in sorted((root / "tests" / "law").rglob("*.yaml")):
        _add_law_cases(path, path.relative_to(root).as_posix(), tests, unreadable)
    by_clause = {clause: tuple(dict.fromkeys(tests[clause])) for clause in sorted(tests)}
    return ClauseMarks(by_clause, tuple(unreadable))


def _add_test_marks(path: Path, name: str, tests: dict[str, list[str]], unreadable: list[str]) -> None:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        unreadable.append(f"{name}:{error.lineno}")
        return
    for test_id, call in _find_marks(tree, name):
        clauses = [
            arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
        ]
        if not clauses or len(clauses) != len(call.args):
            unreadable.append(f"{name}:{call.lineno}")
        for clause in clauses:
            tests[clause].append(test_id)


def _add_law_cases(path: Path, name: str, tests: dict[str, list[str]], unreadable: list[str]) -> None:
    """Add the clauses of each law case. `backend.law_cases` checks the rest of the file; BaseLoader keeps all text."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.CBaseLoader)  # noqa: S506 — makes text only
        for case in content["cases"]:
            for clause in case["clauses"]:
                tests[clause].append(f"{name}::{case['name']}")
    except (yaml.YAMLError, KeyError, TypeError) as error:
        unreadable.append(f"{name} ({type(error).__name__})")


def _find_marks(node: ast.AST, test_id: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield each `pytest.mark.clause(…)` below the node with the test, class or module that it marks."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from _find_marks(child, f"{test_id}::{child.name}")
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="clause")):
                yield test_id, child
            case _:
                yield from _find_marks(child, test_id)


def find_registry_problems(registry: ClauseRegistry, marks: ClauseMarks, root: Path) -> list[str]:
    """List what is wrong: built clauses without a test, planned ones with, missing files, unknown marks."""
    problems = [
        f"{where}: a clause mark needs literal clause ids in a file that parses" for where in marks.unreadable
    ]
    for clause in registry.clauses:
        problems += [
            f"{clause.id}: {path} does not exist" for path in clause.code if not (root / path).is_file()
        ]
        cited = clause.id in marks.tests
        if clause.status is Status.PLANNED and cited:
            problems.append(f"{clause.id} is planned, yet {marks.tests[clause.id][0]} carries its mark")
        if clause.status is not Status.PLANNED and not cited:
            problems.append(f"{clause.id} is {clause.status}, yet no test carries its mark")
    for unknown in sorted(set(marks.tests) - registry.ids):
        problems.append(f"{', '.join(marks.tests[unknown])}: unknown clause {unknown}")
    return problems
