"""The private PostgreSQL and Redis of this checkout, as one thing that is up while somebody uses it.

    with running_stack(root) as stack:
        psycopg.connect(stack.app_dsn)

Every user of a stack holds a shared lock on it; the last one to leave stops what runs. A killed user's lock goes with
it, so a later command takes over what was left running. Standard library only.
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

from backend.devstack.paths import POSTGRES_PORT, Place, Purpose, find_place, write_as
from backend.devstack.postgres import (
    APP,
    DATABASE,
    OWNER,
    SUPERUSER,
    Cluster,
    choose_programs,
    postmaster_of,
    prepare_database,
    run_sql,
    start_cluster,
    stop_cluster,
)
from backend.devstack.redis_server import redis_is_running, redis_socket, start_redis, stop_redis

_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Stack:
    """How to reach the services. The DSNs are libpq conninfo strings."""

    sockets: Path
    redis: Path
    programs: Path
    database: str = DATABASE

    def dsn(self, user: str, database: str | None = None) -> str:
        """A libpq conninfo string for `user`."""
        return f"host='{self.sockets}' port={POSTGRES_PORT} dbname={database or self.database} user={user}"

    def sqlalchemy_url(self, user: str, database: str | None = None) -> str:
        """The same as an SQLAlchemy URL for psycopg 3."""
        where = f"host={quote(str(self.sockets), safe='/')}&port={POSTGRES_PORT}"
        return f"postgresql+psycopg://{user}@/{database or self.database}?{where}"

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
        """The variables by which `with_stack` hands a stack to the tests."""
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
        """The stack that `test_environment` described; KeyError where there is none."""
        return cls(
            sockets=Path(environment["DIANMING_TEST_SOCKETS"]),
            redis=Path(environment["DIANMING_TEST_REDIS_URL"].removeprefix("unix://")),
            programs=Path(environment["DIANMING_TEST_POSTGRES_PROGRAMS"]),
        )


def _checked_name(name: str) -> str:
    if not _DATABASE_NAME.fullmatch(name):
        message = f"not a plain database name: {name!r}"
        raise ValueError(message)
    return name


def create_database(stack: Stack, name: str, template: str | None = DATABASE) -> Stack:
    """A new database of the owner role, by default a copy of the prepared one with its extensions. Nobody may be
    connected to the template. Returns the stack seen from the new database.
    """
    copied = f" TEMPLATE {_checked_name(template)} STRATEGY file_copy" if template else ""
    run_sql(stack.programs, stack.sockets, f"CREATE DATABASE {_checked_name(name)} OWNER {OWNER}{copied}")
    return Stack(stack.sockets, stack.redis, stack.programs, name)


def drop_database(stack: Stack, name: str) -> None:
    """Drop it together with the connections to it; nothing happens where there is none."""
    run_sql(stack.programs, stack.sockets, f"DROP DATABASE IF EXISTS {_checked_name(name)} WITH (FORCE)")


def _lock_file(place: Place, name: str) -> IO[str]:
    path = place.data / name
    if not path.exists():
        write_as(place.account, path, "")
    return path.open("a")


@contextmanager
def _changing(place: Place) -> Iterator[None]:
    """One start or stop at a time; another command waits its turn here."""
    with _lock_file(place, "change.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _nobody_else_uses(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _begin_empty(cluster: Cluster) -> None:
    """Leave nothing of an earlier run to a purpose that begins empty."""
    stop_redis(cluster.place)
    stop_cluster(cluster)
    for leftover in cluster.place.data.glob("postgres*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)


def _bring_up(cluster: Cluster) -> None:
    if not cluster.is_running():
        print(f"启动 PostgreSQL 和 Redis · Starting PostgreSQL and Redis ({cluster.place.data})", flush=True)
        start_cluster(cluster)
    prepare_database(cluster)
    if not redis_is_running(cluster.place):
        start_redis(cluster.place)


def _take_down(cluster: Cluster) -> None:
    stop_redis(cluster.place)
    stop_cluster(cluster)


def stop_unused(place: Place) -> bool:
    """Stop what a killed run left running at `place`; False while another command uses it."""
    with _lock_file(place, "users.lock") as users, _changing(place):
        if not _nobody_else_uses(users):
            return False
        stop_redis(place)
        if postmaster_of(place.data / "postgres") is not None:
            stop_cluster(Cluster(place, choose_programs(place), durable=True))
        return True


@contextmanager
def running_stack(root: Path, purpose: Purpose = "run") -> Iterator[Stack]:
    """The services of `purpose`, started if they do not run, stopped by the last one who uses them."""
    place = find_place(root, purpose)
    keeps = purpose in {"run", "bench"}
    with _lock_file(place, "users.lock") as users:
        with _changing(place):
            cluster = Cluster(place, choose_programs(place), durable=purpose != "test")
            alone = _nobody_else_uses(users)
            try:
                if alone and not keeps:
                    _begin_empty(cluster)
                _bring_up(cluster)
            except BaseException:
                if alone:
                    _take_down(cluster)
                raise
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield Stack(place.sockets, redis_socket(place), cluster.programs)
        finally:
            with _changing(place):
                if _nobody_else_uses(users):
                    _take_down(cluster)
