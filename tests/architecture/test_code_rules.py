"""Rules of the code base that a machine checks: layers, events, transactions, errors, tables."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from string import Formatter
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from importlinter.cli import lint_imports
from sqlalchemy import NullPool, create_engine

from backend.commands.events_command import emitting_modules
from backend.core.ltree import Ltree
from backend.events import EVENT_TYPES
from backend.settings import Settings
from backend.tables import METADATA
from migrations.partitioning import is_not_partition_key
from tests.architecture.source_tree import PRODUCT_PACKAGES, ROOT, calls, parsed_modules
from tests.architecture.test_error_table import BASES, ErrorClass, error_rows, subclasses
from tests.tenancy.openapi_documents import apis

pytestmark = pytest.mark.xdist_group(
    "architecture"
)  # parsing all modules takes a second: do it in one process

CHINESE = re.compile("[一-鿿]")


def test_imports_respect_the_layers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    broken = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert broken == 0, capsys.readouterr().out


def test_emitted_events_and_subscriptions_are_the_same() -> None:
    emitted = {name for name, modules in emitting_modules().items() if modules}
    assert emitted - EVENT_TYPES.keys() == set(), "emitted, but not in backend.events.SUBSCRIPTIONS"
    assert EVENT_TYPES.keys() - emitted == set(), "subscribed, but never emitted"


def test_orm_tables_match_the_migrated_database(settings: Settings) -> None:
    assert settings.owner_database_url is not None
    engine = create_engine(settings.owner_database_url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.dialect.ischema_names["ltree"] = Ltree  # type: ignore[attr-defined]  # types that reflection knows
        options = {"compare_type": True, "include_name": _is_own_name, "include_object": is_not_partition_key}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def _is_own_name(name: str | None, kind: str, _: object) -> bool:
    foreign = name is not None and (name.startswith("procrastinate") or name == "spatial_ref_sys")
    return not (kind == "table" and foreign)


def api_routes() -> Iterator[tuple[str, APIRoute]]:
    from backend import app  # noqa: PLC0415 - only these tests need the whole application

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


def test_no_route_depends_on_a_generator_that_ends_after_the_answer() -> None:
    checked = 0
    for name, route in api_routes():
        for call in dependencies(route.dependant):
            checked += 1
            generator = inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call)
            assert not generator, f"{name}: {route.path} depends on {call.__qualname__}, which yields"
    assert checked > len(apis())


@cache
def product_errors() -> list[type[ErrorClass]]:
    """Every error class of the product."""
    error_rows()  # imports all modules
    classes = {
        error for base in BASES for error in subclasses(base) if error.__module__.startswith(PRODUCT_PACKAGES)
    }
    return sorted(classes, key=lambda error: (error.__module__, error.__qualname__))


SHARED_CODES = {"too_many_attempts"}
"""Used for sign-in and for check-ins, with different sentences; both mean to wait and try again (429)."""


def test_every_error_has_its_own_code() -> None:
    classes: dict[str, set[str]] = {}
    for error in product_errors():
        if "code" in vars(error):
            classes.setdefault(error.code, set()).add(f"{error.__module__}.{error.__qualname__}")
    shared = {code: names for code, names in classes.items() if len(names) > 1}
    assert shared.keys() <= SHARED_CODES, shared


def placeholders(sentence: str) -> set[str]:
    """The names of the arguments that a sentence contains."""
    return {name.partition(".")[0] for _, name, _, _ in Formatter().parse(sentence) if name}


def without_language(names: set[str]) -> set[str]:
    return {re.sub("_?(zh|en)$", "", name) for name in names}


def test_chinese_and_english_sentence_have_the_same_arguments() -> None:
    for error in product_errors():
        assert without_language(placeholders(error.zh)) == without_language(placeholders(error.en)), error
        assert CHINESE.search(error.zh) or error.zh == "{zh}", error
        assert error.zh != error.en, error


def test_raised_errors_get_all_arguments_of_their_sentences() -> None:
    base_constructors = {base.__init__ for base in BASES}
    required: dict[str, list[set[str]]] = {}
    for error in product_errors():
        if error.__init__ in base_constructors:
            required.setdefault(error.__name__, []).append(placeholders(error.zh) | placeholders(error.en))
    checked = 0
    for path, tree in parsed_modules():
        for call in calls(tree):
            name = ast.unparse(call.func).rpartition(".")[2]
            if name not in required or any(each.arg is None for each in call.keywords):
                continue
            given = {each.arg for each in call.keywords}
            place = f"{path}:{call.lineno}"
            assert any(names <= given for names in required[name]), f"{place}: {name} needs {required[name]}"
            checked += 1
    assert checked > len(required)


def test_errors_raised_without_arguments_need_none() -> None:
    classes = {error.__name__: error for error in product_errors() if error.__name__ != "TooManyAttempts"}
    for path, tree in parsed_modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in classes:
                error = classes[node.exc.id]
                place = f"{path}:{node.lineno}"
                assert not placeholders(error.zh) | placeholders(error.en), (
                    f"{place}: {error.__name__} needs arguments"
                )
