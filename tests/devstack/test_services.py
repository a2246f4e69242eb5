"""Starting the real services from every state that an earlier run can leave behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from backend.devstack.clean import delete_local_data
from backend.devstack.errors import PostgresNotFound, StillInUse
from backend.devstack.paths import prepare_location
from backend.devstack.postgres import (
    Cluster,
    choose_programs,
    create_cluster,
    find_postmaster,
    last_log_line,
    processes_with_cwd,
    wait_until,
)
from backend.devstack.redis_server import redis_is_running, redis_socket
from backend.devstack.services import Stack, create_database, drop_database, running_stack

ROOT = Path(__file__).resolve().parents[2]
USE_STACK = """
import sys
from pathlib import Path
from backend.devstack.services import running_stack
with running_stack(Path(sys.argv[1]), sys.argv[2]):
    print("up", flush=True)
    sys.stdin.read()
"""


class StackUser:
    """Another process that uses the stack until it is released or killed."""

    def __init__(self, root: Path, purpose: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE_STACK, str(root), purpose],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) != "up\n":
            assert line, "the other process exited before its stack was running"

    def release(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def cluster_of(root: Path, purpose: str = "run") -> Cluster:
    location = prepare_location(root, purpose)  # type: ignore[arg-type]  # the caller's literal
    return Cluster(location, choose_programs(location), durable=False)


def is_stopped(cluster: Cluster) -> bool:
    return not any(processes_with_cwd(cluster.data)) and not redis_is_running(cluster.location)


def test_stack_has_two_unprivileged_roles_and_no_network(checkout: Path) -> None:
    with running_stack(checkout, "test") as stack:
        with psycopg.connect(stack.superuser_dsn) as connection:
            roles = connection.execute(
                "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles "
                "WHERE rolname LIKE 'dianming%' ORDER BY 1"
            ).fetchall()
            database = connection.execute(
                "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate "
                "FROM pg_database WHERE datname = 'dianming'"
            ).fetchone()
            network = connection.execute("SHOW listen_addresses").fetchone()
            extensions = {row[0] for row in connection.execute("SELECT extname FROM pg_extension")}
        assert roles == [("dianming_app", False), ("dianming_owner", False)]
        assert database == ("dianming_owner", "UTF8", "C.UTF-8")
        assert network == ("",)
        assert {"postgis", "ltree", "pgcrypto", "btree_gist", "pg_trgm"} <= extensions
        with Redis.from_url(stack.redis_url) as redis:
            assert redis.config_get("port") == {"port": "0"}
    assert is_stopped(cluster_of(checkout, "test"))


def test_application_role_cannot_create_tables(used_checkout: Path) -> None:
    with (
        running_stack(used_checkout) as stack,
        psycopg.connect(stack.app_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE mine (i int)")


def test_databases_are_copied_with_extensions_and_dropped(used_checkout: Path) -> None:
    with running_stack(used_checkout) as stack:
        copy = create_database(stack, "a_copy")
        with psycopg.connect(copy.owner_dsn) as connection:
            assert connection.execute("SELECT ST_X('POINT(113 34)'::geometry)").fetchone() == (113.0,)
            drop_database(stack, "a_copy")
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        drop_database(stack, "a_copy")


@pytest.mark.parametrize("name", ['x"; DROP DATABASE dianming; --', "", "1a", "A", "a" * 64])
def test_unsafe_database_name_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="plain database name"):
        create_database(Stack(Path("/nowhere"), Path("/nowhere"), Path("/nowhere")), name)


def insert_row(stack: Stack) -> None:
    with psycopg.connect(stack.owner_dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept_rows (i int)")
        connection.execute("INSERT INTO kept_rows VALUES (1)")


def row_count(stack: Stack) -> int:
    with psycopg.connect(stack.superuser_dsn) as connection:
        row = connection.execute("SELECT to_regclass('kept_rows') IS NOT NULL").fetchone()
        assert row is not None
        if not row[0]:
            return 0
        row = connection.execute("SELECT count(*) FROM kept_rows").fetchone()
        assert row is not None
        return int(row[0])


def test_purpose_run_keeps_data_and_test_starts_empty(checkout: Path) -> None:
    for purpose, expected in (("run", 1), ("test", 0)):
        with running_stack(checkout, purpose) as stack:  # type: ignore[arg-type]  # literals just above
            insert_row(stack)
        with running_stack(checkout, purpose) as stack:  # type: ignore[arg-type]
            assert row_count(stack) == expected


def damage_settings(cluster: Cluster) -> None:
    (cluster.data / "postgresql.conf").write_text("port = not a number\n")
    (cluster.data / "postgresql.auto.conf").write_text("shared_buffers = '900TB'\n")
    (cluster.data / "pg_hba.conf").write_text("nonsense\n")


def leave_pid_of_another_program(cluster: Cluster) -> None:
    (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.data}\n")
    (cluster.location.sockets / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")


def leave_empty_pid_file(cluster: Cluster) -> None:
    (cluster.data / "postmaster.pid").write_text("")


def leave_stale_redis_socket(cluster: Cluster) -> None:
    redis_socket(cluster.location).touch()


def leave_incomplete_cluster(cluster: Cluster) -> None:
    incomplete = cluster.location.data / "postgres.making"
    incomplete.mkdir()
    (incomplete / "PG_VERSION").write_text("15\n")


@pytest.mark.parametrize(
    "damage",
    [
        damage_settings,
        leave_pid_of_another_program,
        leave_empty_pid_file,
        leave_stale_redis_socket,
        leave_incomplete_cluster,
    ],
)
def test_next_start_recovers_with_all_data(used_checkout: Path, damage: Callable[[Cluster], None]) -> None:
    with running_stack(used_checkout, "run") as stack:
        insert_row(stack)
    damage(cluster_of(used_checkout))
    with running_stack(used_checkout, "run") as stack:
        assert row_count(stack) == 1
        with Redis.from_url(stack.redis_url) as redis:
            assert redis.ping()


def test_incomplete_cluster_of_a_killed_initdb_is_recreated(checkout: Path) -> None:
    cluster = cluster_of(checkout)
    leave_incomplete_cluster(cluster)
    create_cluster(cluster)
    assert (cluster.data / "global" / "pg_control").is_file()
    assert not (cluster.location.data / "postgres.making").exists()


def test_damaged_cluster_is_renamed_and_kept(used_checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_stack(used_checkout, "run") as stack:
        insert_row(stack)
    cluster = cluster_of(used_checkout)
    (cluster.data / "global" / "pg_control").unlink()
    with running_stack(used_checkout, "run") as stack:
        assert row_count(stack) == 0
    (renamed,) = cluster.location.data.glob("postgres.damaged-*")
    assert (renamed / "PG_VERSION").is_file()
    assert str(renamed) in capsys.readouterr().out


def test_error_names_the_missing_postgres_version(checkout: Path) -> None:
    location = prepare_location(checkout, "run")
    (location.data / "postgres").mkdir()
    (location.data / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(PostgresNotFound, match="14"):
        choose_programs(location)


def test_only_the_last_command_stops_the_services(used_checkout: Path) -> None:
    other = StackUser(used_checkout, "run")
    cluster = cluster_of(used_checkout)
    postmaster = find_postmaster(cluster.data)
    with running_stack(used_checkout, "run") as stack:
        assert find_postmaster(cluster.data) == postmaster
        other.release()
        insert_row(stack)
    assert is_stopped(cluster)


def test_services_keep_running_while_another_command_uses_them(used_checkout: Path) -> None:
    other = StackUser(used_checkout, "run")
    with running_stack(used_checkout, "run"):
        pass
    cluster = cluster_of(used_checkout)
    assert find_postmaster(cluster.data) is not None
    assert redis_is_running(cluster.location)
    with pytest.raises(StillInUse):
        delete_local_data(used_checkout)
    other.release()
    assert is_stopped(cluster)


def test_services_of_a_killed_command_are_taken_over_and_stopped(used_checkout: Path) -> None:
    StackUser(used_checkout, "run").kill()
    cluster = cluster_of(used_checkout)
    assert find_postmaster(cluster.data) is not None
    with running_stack(used_checkout, "run") as stack:
        insert_row(stack)
    assert is_stopped(cluster)


def test_killed_postmaster_is_followed_by_a_clean_start(used_checkout: Path) -> None:
    other = StackUser(used_checkout, "run")
    cluster = cluster_of(used_checkout)
    pid = find_postmaster(cluster.data)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    other.kill()
    assert wait_until(lambda: find_postmaster(cluster.data) is None, 10)
    with running_stack(used_checkout, "run") as stack:
        insert_row(stack)
    assert is_stopped(cluster)


def test_clean_stops_leftover_services_and_deletes_the_data(used_checkout: Path) -> None:
    StackUser(used_checkout, "run").kill()
    cluster = cluster_of(used_checkout)
    (used_checkout / ".local" / "tools").mkdir()
    (used_checkout / ".local" / "keys.json").write_text("{}")
    delete_local_data(used_checkout)
    assert is_stopped(cluster)
    assert [path.name for path in (used_checkout / ".local").iterdir()] == ["tools"]


def test_stack_round_trips_through_the_environment(checkout: Path) -> None:
    stack = Stack(checkout / "sock", checkout / "sock" / "redis.sock", Path("/usr/lib/postgresql/15/bin"))
    assert Stack.from_environment(stack.test_environment()) == stack
    assert stack.app_url == f"postgresql+psycopg://dianming_app@/dianming?host={checkout}/sock&port=5432"


def test_last_log_line_skips_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("first\nFATAL: reason\n\n")
    assert last_log_line(tmp_path / "log") == "FATAL: reason"
    assert last_log_line(tmp_path / "absent") == "—"
