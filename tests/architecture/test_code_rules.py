"""The house's own rules, checked by machines: floors, events, transactions, errors, tables."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from importlinter.cli import lint_imports
from sqlalchemy import NullPool, create_engine

from backend.core.ltree import Ltree
from backend.events import SUBSCRIPTIONS
from backend.settings import Settings
from backend.tables import METADATA
from migrations.partitioning import is_not_partition_key
from tests.architecture.test_error_table import BASES, PACKAGES, Refusal, refusals, subclasses
from tests.tenancy.openapi_documents import apis

pytestmark = pytest.mark.xdist_group("architecture")  # parsing the house takes a second: one process does

CHINESE = re.compile("[一-鿿]")
ROOT = Path(__file__).resolve().parents[2]
HOMES = tuple(package.__name__ for package in PACKAGES)


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    """Every module of the house, parsed."""
    paths = [path for home in HOMES for path in sorted((ROOT / home).rglob("*.py"))]
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_imports_go_down_the_floors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    broken = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert broken == 0, capsys.readouterr().out


def emitted() -> Iterator[tuple[str, ast.Module, ast.expr]]:
    """Where an event is emitted, in which module, and the name that is given."""
    for path, tree in trees():
        for call in calls(tree):
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            match call.func:
                case ast.Name(id="emit") | ast.Attribute(value=ast.Name(id="outbox"), attr="emit"):
                    if len(call.args) >= 2:
                        yield place, tree, call.args[1]
                case ast.Attribute(value=ast.Name(id="outbox"), attr="Event"):
                    yield place, tree, call.args[0]


def names_of(tree: ast.Module, name: ast.expr) -> set[str]:
    """The texts that a name may stand for: itself, either branch, or what its module assigns to it."""
    match name:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=one, orelse=other):
            return names_of(tree, one) | names_of(tree, other)
        case ast.Name(id=variable):
            assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign))
            values = [node.value for node in assigned if ast.unparse(node.targets[0]) == variable]
            return set().union(*(names_of(tree, value) for value in values))
    return set()


def test_every_event_that_is_emitted_has_a_line_in_the_flow() -> None:
    found: set[str] = set()
    for place, tree, name in emitted():
        names = names_of(tree, name)
        assert names, f"{place}: the name of the event is not to be read off"
        assert names <= SUBSCRIPTIONS.keys(), (
            f"{place}: {names - SUBSCRIPTIONS.keys()} is not in backend.events.SUBSCRIPTIONS"
        )
        found |= names
    assert found == SUBSCRIPTIONS.keys(), "an event of the flow that nobody emits"


def test_the_tables_of_the_code_are_those_of_the_migrations(settings: Settings) -> None:
    assert settings.owner_database_url is not None
    engine = create_engine(settings.owner_database_url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.dialect.ischema_names["ltree"] = Ltree  # type: ignore[attr-defined]  # what reflection knows
        options = {"compare_type": True, "include_name": _ours, "include_object": is_not_partition_key}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def _ours(name: str | None, kind: str, _: object) -> bool:
    foreign = name is not None and (name.startswith("procrastinate") or name == "spatial_ref_sys")
    return not (kind == "table" and foreign)


def api_routes() -> Iterator[tuple[str, APIRoute]]:
    from backend import app  # noqa: PLC0415 - the composition root is read here only

    for name in (*app.MOBILE_ROUTERS, *app.STAFF_ROUTERS):
        router = __import__(name, fromlist=["router"]).router
        for route in router.routes:
            if isinstance(route, APIRoute):
                yield name, route


def dependencies(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for each in dependant.dependencies:
        if each.call is not None:
            yield each.call
        yield from dependencies(each)


def test_no_route_commits_in_a_dependency_that_ends_after_the_answer() -> None:
    seen = 0
    for name, route in api_routes():
        for call in dependencies(route.dependant):
            seen += 1
            generator = inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call)
            assert not generator, f"{name}: {route.path} depends on {call.__qualname__}, which yields"
    assert seen > len(apis())


@cache
def errors() -> list[type[Refusal]]:
    """Every class of error that states a fact of its own, of the house's modules."""
    refusals()  # imports them all
    found = {error for base in BASES for error in subclasses(base) if error.__module__.startswith(HOMES)}
    return sorted(found, key=lambda error: (error.__module__, error.__qualname__))


SHARED = {"too_many_attempts"}
"""Said at the door and at a check-in, each in its own words: wait, and try again (429 both times)."""


def test_every_refusal_has_a_code_of_its_own() -> None:
    homes: dict[str, set[str]] = {}
    for error in errors():
        if "code" in vars(error):
            homes.setdefault(error.code, set()).add(f"{error.__module__}.{error.__qualname__}")
    shared = {code: classes for code, classes in homes.items() if len(classes) > 1}
    assert shared.keys() <= SHARED, shared


def blanks(sentence: str) -> set[str]:
    """The names that a sentence asks for."""
    return {name.partition(".")[0] for _, name, _, _ in Formatter().parse(sentence) if name}


def without_language(names: set[str]) -> set[str]:
    return {re.sub("_?(zh|en)$", "", name) for name in names}


def test_both_sentences_of_a_refusal_say_the_same_things() -> None:
    for error in errors():
        assert without_language(blanks(error.zh)) == without_language(blanks(error.en)), error
        assert CHINESE.search(error.zh) or error.zh == "{zh}", error
        assert error.zh != error.en, error


def test_whoever_raises_a_refusal_fills_its_sentences() -> None:
    usual = {base.__init__ for base in BASES}
    named: dict[str, list[set[str]]] = {}
    for error in errors():
        if error.__init__ in usual:
            named.setdefault(error.__name__, []).append(blanks(error.zh) | blanks(error.en))
    checked = 0
    for path, tree in trees():
        for call in calls(tree):
            name = ast.unparse(call.func).rpartition(".")[2]
            if name not in named or any(each.arg is None for each in call.keywords):
                continue
            given = {each.arg for each in call.keywords}
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert any(wanted <= given for wanted in named[name]), f"{place}: {name} wants {named[name]}"
            checked += 1
    assert checked > len(named)


def test_what_is_raised_bare_asks_for_nothing() -> None:
    named = {error.__name__: error for error in errors() if error.__name__ != "TooManyAttempts"}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in named:
                error = named[node.exc.id]
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                assert not blanks(error.zh) | blanks(error.en), f"{place}: {error.__name__} wants its words"
