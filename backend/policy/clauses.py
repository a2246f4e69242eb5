"""The clause registry: which rule of which instrument is held by which code, and shown by which tests.

`policies/clauses.yaml` names every clause. Tests carry `@pytest.mark.clause("HN334-3.4")`; the marks are read from
the source, so the report needs no test run.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from backend.policy.schema import Sentence, Strict


class Status(StrEnum):
    IMPLEMENTED = "implemented"
    PLANNED = "planned"


class Instrument(Strict):
    """A notice, a law, or the product's own operating rules."""

    id: Sentence
    zh: Sentence
    en: Sentence


class Title(Strict):
    zh: Sentence
    en: Sentence


class Clause(Strict):
    """A rule: where it is written, what it says in our words, and how far the product holds it.

    `code` lists modules by path from the root; a planned clause may already list those that hold a part of it.
    """

    id: Annotated[str, Field(pattern=r"^([A-Z]+[0-9]+-[0-9]+(\.[0-9]+[a-d]?)?|R[0-9]{1,2})$")]
    instrument: Sentence
    article: Sentence
    title: Title
    status: Annotated[Status, Field(strict=False)]
    code: Annotated[tuple[str, ...], Field(strict=False)] = ()
    touches: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _implemented_somewhere(self) -> Self:
        if self.status is Status.IMPLEMENTED and not self.code:
            raise ValueError(f"{self.id} is implemented, yet names no code")
        return self


class ClauseRegistry(Strict):
    """Every instrument and clause, in the order of the file; ids are unique and citations resolve."""

    instruments: Annotated[tuple[Instrument, ...], Field(strict=False)]
    clauses: Annotated[tuple[Clause, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _resolves(self) -> Self:
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
class Marks:
    """The clause marks found in a tree of tests, and what could not be read."""

    tests: Mapping[str, tuple[str, ...]]
    """Clause id → test ids (`tests/org/test_calendar.py::test_x`; a class or module mark names its holder)."""
    unreadable: tuple[str, ...]
    """Files that do not parse and marks whose argument is not a literal string, with their line."""


def scan_marks(root: Path) -> Marks | None:
    """The marks in `root/tests`, read without importing anything; None where there are no tests (a wheel)."""
    if not (root / "tests").is_dir():
        return None
    tests: dict[str, list[str]] = defaultdict(list)
    unreadable: list[str] = []
    for path in sorted((root / "tests").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            unreadable.append(f"{name}:{error.lineno}")
            continue
        for holder, call in _marks_in(tree, name):
            clauses = [
                arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if not clauses or len(clauses) != len(call.args):
                unreadable.append(f"{name}:{call.lineno}")
            for clause in clauses:
                tests[clause].append(holder)
    found = {clause: tuple(dict.fromkeys(tests[clause])) for clause in sorted(tests)}
    return Marks(found, tuple(unreadable))


def _marks_in(node: ast.AST, holder: str) -> Iterator[tuple[str, ast.Call]]:
    """Each `pytest.mark.clause(…)` below the node with the test, class or module that carries it."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from _marks_in(child, f"{holder}::{child.name}")
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="clause")):
                yield holder, child
            case _:
                yield from _marks_in(child, holder)


def registry_problems(registry: ClauseRegistry, marks: Marks, root: Path) -> list[str]:
    """What makes the registry untrue: implemented without code or test, code that is gone, unknown marks."""
    problems = [
        f"{where}: a clause mark needs literal clause ids in a file that parses" for where in marks.unreadable
    ]
    for clause in registry.clauses:
        problems += [
            f"{clause.id}: {path} does not exist" for path in clause.code if not (root / path).is_file()
        ]
        if clause.status is Status.IMPLEMENTED and clause.id not in marks.tests:
            problems.append(f"{clause.id} is implemented, yet no test carries its mark")
    for unknown in sorted(set(marks.tests) - registry.ids):
        problems.append(f"{', '.join(marks.tests[unknown])}: unknown clause {unknown}")
    return problems
