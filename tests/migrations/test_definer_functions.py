"""The functions of the schema `definer`: each one has a current `.sql` file, and only the intended roles may run it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from migrations.sql_files import newest_definer_files
from tests.conftest import SUPERUSER

ROOT = Path(__file__).resolve().parents[2]
FILES = newest_definer_files()
APPLICATION_CODE = ("backend", "mobile_api")
CALLED_BY = re.compile(r"^-- Called by: (.*?)(?=^-- (?:Why|Runs))", re.MULTILINE | re.DOTALL)
REASON = re.compile(
    r"^-- (Why it bypasses row-level security: \w|Runs with the rights of its caller)", re.MULTILINE
)
PATH = re.compile(r"[\w/]+\.(?:py|sql)")
FUNCTIONS = """
SELECT p.oid, p.proname, pg_get_functiondef(p.oid), p.prosecdef, pg_get_userbyid(p.proowner) = 'dianming_owner',
  coalesce(p.proconfig, '{}'), p.prorettype = 'trigger'::regtype,
  EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0),
  has_function_privilege('dianming_app', p.oid, 'EXECUTE')
FROM pg_proc p WHERE p.pronamespace = 'definer'::regnamespace ORDER BY p.proname
"""


@pytest.fixture
def connection(database_name: str) -> Iterator[Connection[Any]]:
    """A superuser's connection whose changes are rolled back."""
    with psycopg.connect(os.environ[SUPERUSER], dbname=database_name) as connection:
        yield connection
        connection.rollback()


def called_by(name: str) -> set[str]:
    """The paths that the header of a function's file names as its callers."""
    header = CALLED_BY.search(FILES[name].read_text(encoding="utf-8"))
    assert header is not None, f"{FILES[name]} has no line “Called by:”"
    return set(PATH.findall(header.group(1)))


def test_every_function_has_a_file_and_every_file_a_function(connection: Connection[Any]) -> None:
    names = [row[1] for row in connection.execute(FUNCTIONS)]
    assert names == sorted(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_function_is_what_its_file_says(connection: Connection[Any], name: str) -> None:
    definition = "SELECT pg_get_functiondef(CAST(%s AS regproc))"
    before = connection.execute(definition, (f"definer.{name}",)).fetchone()
    connection.execute(FILES[name].read_bytes())
    assert connection.execute(definition, (f"definer.{name}",)).fetchone() == before


def test_the_owner_owns_them_and_public_may_execute_none(connection: Connection[Any]) -> None:
    for _, name, _, _, owned_by_owner, _, _, public_may_execute, _ in connection.execute(FUNCTIONS):
        assert owned_by_owner, name
        assert not public_may_execute, name


def test_only_functions_that_bypass_security_are_for_the_application(connection: Connection[Any]) -> None:
    for _, name, _, security_definer, _, _, is_trigger, _, app_may_execute in connection.execute(FUNCTIONS):
        assert app_may_execute == (security_definer and not is_trigger), name


def test_security_definer_functions_have_a_fixed_search_path(connection: Connection[Any]) -> None:
    for _, name, _, security_definer, _, settings, *_ in connection.execute(FUNCTIONS):
        assert not security_definer or "search_path=public, pg_temp" in settings, name


@pytest.mark.parametrize("name", sorted(FILES))
def test_header_gives_a_reason_and_callers_that_exist(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    assert text.startswith("-- ")
    assert REASON.search(text), f"{FILES[name]} gives no reason to bypass row-level security"
    for path in called_by(name):
        caller = ROOT / path
        assert caller.is_file(), f"{name}: {path} does not exist"
        assert re.search(rf"\b{name}\b", caller.read_text(encoding="utf-8")), (
            f"{path} does not call definer.{name}"
        )


@pytest.mark.parametrize("name", sorted(FILES))
def test_header_names_every_caller_in_the_application(name: str) -> None:
    call = re.compile(rf"\bdefiner\.{name}\(")
    callers = {
        path.relative_to(ROOT).as_posix()
        for package in APPLICATION_CODE
        for path in (ROOT / package).rglob("*.py")
        if call.search(path.read_text(encoding="utf-8"))
    }
    assert callers <= called_by(name)
