"""Fixtures of all tests: a migrated database per worker, created from one template, and a real Redis."""

import gc
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

import psycopg
import pytest
from _pytest.nodeid import NodeId
from alembic import command as alembic_command
from filelock import FileLock
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from backend.commands.deployment.migrate_command import alembic_config
from backend.core.app_context import AppContext
from backend.core.clock import now
from backend.core.database import Database
from backend.core.evidence import EvidenceStore
from backend.core.keys import KeyRing, create_key_file
from backend.core.redis_client import open_redis
from backend.settings import Settings

# httpx tries to import this package before every request; if it is missing, that searches the whole path each time.
sys.modules.setdefault("sniffio", cast("ModuleType", None))

# Hypothesis examples are limited by number, not by time: the machine may be busy.
hypothesis_settings.register_profile("dianming", deadline=None)
hypothesis_settings.load_profile("dianming")

# Imported modules and collected tests live until the end, so garbage collection can skip them.
gc.disable()

SUPERUSER = "DIANMING_TEST_SUPERUSER_DSN"
REDIS = "DIANMING_TEST_REDIS_URL"
EXTENSIONS = ("postgis", "ltree", "pgcrypto", "btree_gist", "pg_trgm")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the tests of an xdist group in one process: pytest 9.2 does not read the ids that pytest-xdist 3.8 writes."""
    if not config.getoption("loadgroup", default=False):
        return
    for item in items:
        group = item.get_closest_marker("xdist_group")
        if group is not None and not item.nodeid.endswith(f"@{group.args[0]}"):
            item._id = NodeId.parse(f"{item.nodeid}@{group.args[0]}")


def pytest_collection_finish() -> None:
    """Collect garbage from here on, only among objects that tests create, and less often than by default."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def _superuser_dsn() -> str:
    dsn = os.environ.get(SUPERUSER)
    if dsn is None:
        pytest.fail(f"{SUPERUSER} is not set: run the tests with `make test`, which starts the services")
    return dsn


def database_url(name: str, user: str) -> str:
    """SQLAlchemy URL of a test database for one of its roles."""
    parts = conninfo_to_dict(_superuser_dsn())
    return f"postgresql+psycopg://{user}@/{name}?host={parts['host']}&port={parts.get('port', 5432)}"


def _execute_as_superuser(*statements: sql.Composed, dbname: str = "postgres") -> None:
    with psycopg.connect(_superuser_dsn(), dbname=dbname, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def _create_database(name: str, template: str) -> None:
    _execute_as_superuser(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)),
        sql.SQL("CREATE DATABASE {} OWNER dianming_owner TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )


def _create_empty_database(name: str) -> None:
    _create_database(name, "template0")
    _execute_as_superuser(
        *(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(each)) for each in EXTENSIONS),
        dbname=name,
    )


@pytest.fixture
def empty_database_name(worker_id: str) -> Iterator[str]:
    """Name of a database without tables, for tests of migrations."""
    name = f"dm_empty_{os.getpid()}_{worker_id}"
    _create_empty_database(name)
    yield name
    _execute_as_superuser(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _build_template(name: str) -> None:
    _create_empty_database(name)
    alembic_command.upgrade(alembic_config(database_url(name, "dianming_owner")), "heads")


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> str:
    """Name of the migrated template database. The first worker creates it, once per run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
    name = f"dm_template_{run}"
    shared = (
        tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    )
    marker = shared / "template.ready"
    with FileLock(shared / "template.lock"):
        if not marker.exists():
            _build_template(name)
            marker.touch()
    return name


@pytest.fixture(scope="session")
def database_name(
    template_database: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of this worker's own copy of the template."""
    name = f"{template_database}_{worker_id}"
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with FileLock(shared / "template.lock"):
        _create_database(name, template_database)
    yield name
    _execute_as_superuser(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def create_migrated_database(
    template_database: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str], AbstractContextManager[str]]:
    """Create a migrated database of its own, for a system that a test starts. Returns its name; dropped at the end."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    @contextmanager
    def create(purpose: str) -> Iterator[str]:
        name = f"{template_database}_{purpose}"
        with FileLock(shared / "template.lock"):
            _create_database(name, template_database)
        yield name
        _execute_as_superuser(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    return create


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new key file."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    create_key_file(path)
    return path


@pytest.fixture(scope="session")
def settings(database_name: str, keys_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a process under test."""
    return Settings(
        env="test",
        database_url=database_url(database_name, "dianming_app"),
        owner_database_url=database_url(database_name, "dianming_owner"),
        redis_url=os.environ.get(REDIS, "redis://127.0.0.1:1"),
        evidence_dir=tmp_path_factory.mktemp("evidence"),
        keys_file=keys_file,
        public_url="http://testserver",
        test_engine=True,
    )


@pytest.fixture(scope="session")
async def app_context(settings: Settings) -> AsyncIterator[AppContext]:
    """The application context on this worker's database, with the application's role."""
    app_context = AppContext(
        settings=settings,
        database=Database.connect(settings.database_url),
        redis=open_redis(settings.redis_url),
        keys=KeyRing.load(settings.keys_file),
        evidence=EvidenceStore.local(settings.evidence_dir),
        clock=now,
    )
    yield app_context
    await app_context.close()


@pytest.fixture(scope="session")
async def database(app_context: AppContext) -> Database:
    """Transactions with the application's role."""
    return app_context.database


@pytest.fixture(scope="session")
async def owner(settings: Settings) -> AsyncIterator[Database]:
    """Transactions with the owner's role, to create data that no service may write."""
    assert settings.owner_database_url is not None
    owner = Database.connect(settings.owner_database_url)
    yield owner
    await owner.close()
