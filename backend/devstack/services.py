"""Starts PostgreSQL and Redis for as long as at least one command uses them.

    with running_stack(root) as stack:
        psycopg.connect(stack.app_dsn)

Each command that uses a stack holds a shared file lock; the last one to release it stops the services. A killed command
loses its lock, so a later command can take over services that were left running. Standard library only.
"""

import fcntl
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from backend.devstack.paths import POSTGRES_PORT, Purpose, StackLocation, prepare_location, write_as
from backend.devstack.postgres import (
    APP,
    DATABASE,
    OWNER,
    SUPERUSER,
    Cluster,
    choose_programs,
    find_postmaster,
    prepare_database,
    run_sql,
    start_cluster,
    stop_cluster,
)
from backend.devstack.redis_server import redis_is_running, redis_socket, start_redis, stop_redis

_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Stack:
    """Addresses of the running services. DSNs are libpq conninfo strings."""

    sockets: Path
    redis: Path
    programs: Path
    database: str = DATABASE

    def dsn(self, user: str, database: str | None = None) -> str:
        """Return a libpq conninfo string for `user`."""
        return f"host='{self.sockets}' port={POSTGRES_PORT} dbname={database or self.database} user={user}"

    def sqlalchemy_url(self, user: str, database: str | None = None) -> str:
        """Return an SQLAlchemy URL for psycopg 3."""
        query = f"host={quote(str(self.sockets), safe='/')}&port={POSTGRES_PORT}"
        return f"postgresql+psycopg://{user}@/{database or self.database}?{query}"

    @property
    def owner_dsn(self) -> str:
        return self.dsn(OWNER)

    @property
    def app_dsn(self) -> str:
        return self.dsn(APP)

    @property
    def superuser_dsn(self) -> str:
        return self.dsn(SUPERUSER)

    @property
    def owner_url(self) -> str:
        return self.sqlalchemy_url(OWNER)

    @property
    def app_url(self) -> str:
        return self.sqlalchemy_url(APP)

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis}"

    def test_environment(self) -> dict[str, str]:
        """Return the environment variables through which `with_stack` passes the stack to the tests."""
        return {
            "DIANMING_TEST_SOCKETS": str(self.sockets),
            "DIANMING_TEST_POSTGRES_PROGRAMS": str(self.programs),
            "DIANMING_TEST_OWNER_DSN": self.owner_dsn,
            "DIANMING_TEST_APP_DSN": self.app_dsn,
            "DIANMING_TEST_SUPERUSER_DSN": self.superuser_dsn,
            "DIANMING_TEST_REDIS_URL": self.redis_url,
        }

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the stack from the variables of `test_environment`. Raises KeyError if they are missing."""
        return cls(
            sockets=Path(environment["DIANMING_TEST_SOCKETS"]),
            redis=Path(environment["DIANMING_TEST_REDIS_URL"].removeprefix("unix://")),
            programs=Path(environment["DIANMING_TEST_POSTGRES_PROGRAMS"]),
        )


def _validate_name(name: str) -> str:
    if not _DATABASE_NAME.fullmatch(name):
        message = f"not a plain database name: {name!r}"
        raise ValueError(message)
    return name


def create_database(stack: Stack, name: str, template: str | None = DATABASE) -> Stack:
    """Create a database for the owner role, by default as a copy of the prepared one with its extensions. The template
    must have no open connections. Returns a stack that points to the new database.
    """
    template_clause = f" TEMPLATE {_validate_name(template)} STRATEGY file_copy" if template else ""
    run_sql(
        stack.programs,
        stack.sockets,
        f"CREATE DATABASE {_validate_name(name)} OWNER {OWNER}{template_clause}",
    )
    return Stack(stack.sockets, stack.redis, stack.programs, name)


def drop_database(stack: Stack, name: str) -> None:
    """Drop the database and close its connections. Does nothing if it does not exist."""
    run_sql(stack.programs, stack.sockets, f"DROP DATABASE IF EXISTS {_validate_name(name)} WITH (FORCE)")


def _lock_file(location: StackLocation, name: str) -> IO[str]:
    path = location.data / name
    if not path.exists():
        write_as(location.user, path, "")
    return path.open("a")


@contextmanager
def _exclusive_lock(location: StackLocation) -> Iterator[None]:
    """Allow one start or stop at a time; other commands wait."""
    with _lock_file(location, "change.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _try_exclusive_lock(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reset_data(cluster: Cluster) -> None:
    """Stop the services and delete all clusters of earlier runs."""
    stop_redis(cluster.location)
    stop_cluster(cluster)
    for leftover in cluster.location.data.glob("postgres*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)


def _start_services(cluster: Cluster) -> None:
    if not cluster.is_running():
        print(
            f"启动 PostgreSQL 和 Redis · Starting PostgreSQL and Redis ({cluster.location.data})", flush=True
        )
        start_cluster(cluster)
    prepare_database(cluster)
    if not redis_is_running(cluster.location):
        start_redis(cluster.location)


def _stop_services(cluster: Cluster) -> None:
    stop_redis(cluster.location)
    stop_cluster(cluster)


def stop_if_unused(location: StackLocation) -> bool:
    """Stop services that a killed run left running. Return False if another command uses them."""
    with _lock_file(location, "users.lock") as users, _exclusive_lock(location):
        if not _try_exclusive_lock(users):
            return False
        stop_redis(location)
        if find_postmaster(location.data / "postgres") is not None:
            stop_cluster(Cluster(location, choose_programs(location), durable=True))
        return True


@contextmanager
def running_stack(root: Path, purpose: Purpose = "run") -> Iterator[Stack]:
    """Provide the services of `purpose`: start them if needed, and stop them if no other command uses them."""
    location = prepare_location(root, purpose)
    keeps_data = purpose in {"run", "bench"}
    with _lock_file(location, "users.lock") as users:
        with _exclusive_lock(location):
            cluster = Cluster(location, choose_programs(location), durable=purpose != "test")
            is_only_user = _try_exclusive_lock(users)
            try:
                if is_only_user and not keeps_data:
                    _reset_data(cluster)
                _start_services(cluster)
            except BaseException:
                if is_only_user:
                    _stop_services(cluster)
                raise
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield Stack(location.sockets, redis_socket(location), cluster.programs)
        finally:
            with _exclusive_lock(location):
                if _try_exclusive_lock(users):
                    _stop_services(cluster)
