"""The real private services, from every state that an earlier run can leave behind."""

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
from backend.devstack.paths import find_place
from backend.devstack.postgres import (
    Cluster,
    choose_programs,
    last_line,
    make_cluster,
    postmaster_of,
    processes_in,
    wait_until,
)
from backend.devstack.redis_server import redis_is_running, redis_socket
from backend.devstack.services import Stack, create_database, drop_database, running_stack

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from backend.devstack.services import running_stack
with running_stack(Path(sys.argv[1]), sys.argv[2]):
    print("up", flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another command that uses the stack until it is let go or killed."""

    def __init__(self, root: Path, purpose: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(root), purpose],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) != "up\n":
            assert line, "the other command ended before it was up"

    def let_go(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def cluster_of(root: Path, purpose: str = "run") -> Cluster:
    place = find_place(root, purpose)  # type: ignore[arg-type]  # the caller's literal
    return Cluster(place, choose_programs(place), durable=False)


def is_down(cluster: Cluster) -> bool:
    return not any(processes_in(cluster.data)) and not redis_is_running(cluster.place)


def test_the_stack_has_two_powerless_roles_and_no_network(checkout: Path) -> None:
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
    assert is_down(cluster_of(checkout, "test"))


def test_the_application_role_may_not_create_tables(used_checkout: Path) -> None:
    with (
        running_stack(used_checkout) as stack,
        psycopg.connect(stack.app_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE mine (i int)")


def test_databases_are_copied_with_their_extensions_and_dropped(used_checkout: Path) -> None:
    with running_stack(used_checkout) as stack:
        copy = create_database(stack, "a_copy")
        with psycopg.connect(copy.owner_dsn) as connection:
            assert connection.execute("SELECT ST_X('POINT(113 34)'::geometry)").fetchone() == (113.0,)
            drop_database(stack, "a_copy")
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        drop_database(stack, "a_copy")


@pytest.mark.parametrize("name", ['x"; DROP DATABASE dianming; --', "", "1a", "A", "a" * 64])
def test_a_database_name_is_plain_or_refused(name: str) -> None:
    with pytest.raises(ValueError, match="plain database name"):
        create_database(Stack(Path("/nowhere"), Path("/nowhere"), Path("/nowhere")), name)


def remember(stack: Stack) -> None:
    with psycopg.connect(stack.owner_dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS remembered (i int)")
        connection.execute("INSERT INTO remembered VALUES (1)")


def remembered(stack: Stack) -> int:
    with psycopg.connect(stack.superuser_dsn) as connection:
        row = connection.execute("SELECT to_regclass('remembered') IS NOT NULL").fetchone()
        assert row is not None
        if not row[0]:
            return 0
        row = connection.execute("SELECT count(*) FROM remembered").fetchone()
        assert row is not None
        return int(row[0])


def test_run_keeps_its_data_and_test_begins_empty(checkout: Path) -> None:
    for purpose, kept in (("run", 1), ("test", 0)):
        with running_stack(checkout, purpose) as stack:  # type: ignore[arg-type]  # literals just above
            remember(stack)
        with running_stack(checkout, purpose) as stack:  # type: ignore[arg-type]
            assert remembered(stack) == kept


def spoil_settings(cluster: Cluster) -> None:
    (cluster.data / "postgresql.conf").write_text("port = not a number\n")
    (cluster.data / "postgresql.auto.conf").write_text("shared_buffers = '900TB'\n")
    (cluster.data / "pg_hba.conf").write_text("nonsense\n")


def leave_a_pid_that_now_is_another_program(cluster: Cluster) -> None:
    (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.data}\n")
    (cluster.place.sockets / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")


def leave_a_garbled_pid(cluster: Cluster) -> None:
    (cluster.data / "postmaster.pid").write_text("")


def leave_a_stale_redis_socket(cluster: Cluster) -> None:
    redis_socket(cluster.place).touch()


def leave_a_half_made_cluster(cluster: Cluster) -> None:
    beside = cluster.place.data / "postgres.making"
    beside.mkdir()
    (beside / "PG_VERSION").write_text("15\n")


@pytest.mark.parametrize(
    "trouble",
    [
        spoil_settings,
        leave_a_pid_that_now_is_another_program,
        leave_a_garbled_pid,
        leave_a_stale_redis_socket,
        leave_a_half_made_cluster,
    ],
)
def test_the_next_start_recovers_with_all_data(
    used_checkout: Path, trouble: Callable[[Cluster], None]
) -> None:
    with running_stack(used_checkout, "run") as stack:
        remember(stack)
    trouble(cluster_of(used_checkout))
    with running_stack(used_checkout, "run") as stack:
        assert remembered(stack) == 1
        with Redis.from_url(stack.redis_url) as redis:
            assert redis.ping()


def test_a_cluster_half_made_by_a_killed_initdb_is_made_again(checkout: Path) -> None:
    cluster = cluster_of(checkout)
    leave_a_half_made_cluster(cluster)
    make_cluster(cluster)
    assert (cluster.data / "global" / "pg_control").is_file()
    assert not (cluster.place.data / "postgres.making").exists()


def test_a_damaged_cluster_is_kept_under_another_name(
    used_checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_stack(used_checkout, "run") as stack:
        remember(stack)
    cluster = cluster_of(used_checkout)
    (cluster.data / "global" / "pg_control").unlink()
    with running_stack(used_checkout, "run") as stack:
        assert remembered(stack) == 0
    (kept,) = cluster.place.data.glob("postgres.damaged-*")
    assert (kept / "PG_VERSION").is_file()
    assert str(kept) in capsys.readouterr().out


def test_a_cluster_of_a_version_that_is_gone_names_that_version(checkout: Path) -> None:
    place = find_place(checkout, "run")
    (place.data / "postgres").mkdir()
    (place.data / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(PostgresNotFound, match="14"):
        choose_programs(place)


def test_the_last_user_stops_the_services_and_no_one_before(used_checkout: Path) -> None:
    other = Holder(used_checkout, "run")
    cluster = cluster_of(used_checkout)
    started = postmaster_of(cluster.data)
    with running_stack(used_checkout, "run") as stack:
        assert postmaster_of(cluster.data) == started
        other.let_go()
        remember(stack)
    assert is_down(cluster)


def test_leaving_while_another_command_uses_the_services_leaves_them_up(used_checkout: Path) -> None:
    other = Holder(used_checkout, "run")
    with running_stack(used_checkout, "run"):
        pass
    cluster = cluster_of(used_checkout)
    assert postmaster_of(cluster.data) is not None
    assert redis_is_running(cluster.place)
    with pytest.raises(StillInUse):
        delete_local_data(used_checkout)
    other.let_go()
    assert is_down(cluster)


def test_what_a_killed_command_left_running_is_taken_over_and_stopped(used_checkout: Path) -> None:
    Holder(used_checkout, "run").kill()
    cluster = cluster_of(used_checkout)
    assert postmaster_of(cluster.data) is not None
    with running_stack(used_checkout, "run") as stack:
        remember(stack)
    assert is_down(cluster)


def test_a_killed_postmaster_is_followed_by_a_clean_start(used_checkout: Path) -> None:
    other = Holder(used_checkout, "run")
    cluster = cluster_of(used_checkout)
    pid = postmaster_of(cluster.data)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    other.kill()
    assert wait_until(lambda: postmaster_of(cluster.data) is None, 10)
    with running_stack(used_checkout, "run") as stack:
        remember(stack)
    assert is_down(cluster)


def test_cleaning_stops_what_a_killed_command_left_and_deletes_the_data(used_checkout: Path) -> None:
    Holder(used_checkout, "run").kill()
    cluster = cluster_of(used_checkout)
    (used_checkout / ".local" / "tools").mkdir()
    (used_checkout / ".local" / "keys.json").write_text("{}")
    delete_local_data(used_checkout)
    assert is_down(cluster)
    assert [path.name for path in (used_checkout / ".local").iterdir()] == ["tools"]


def test_the_tests_see_the_stack_that_was_handed_to_them(checkout: Path) -> None:
    stack = Stack(checkout / "sock", checkout / "sock" / "redis.sock", Path("/usr/lib/postgresql/15/bin"))
    assert Stack.from_environment(stack.test_environment()) == stack
    assert stack.app_url == f"postgresql+psycopg://dianming_app@/dianming?host={checkout}/sock&port=5432"


def test_the_last_line_of_a_log_is_found_past_blank_ones(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("first\nFATAL: reason\n\n")
    assert last_line(tmp_path / "log") == "FATAL: reason"
    assert last_line(tmp_path / "absent") == "—"
