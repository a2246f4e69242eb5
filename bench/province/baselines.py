"""Baselines for `bench.province`: the same rows in plain SQL, without foreign keys, policies or triggers.

They run in the same database as the product's own steps.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from bench.province.data import CURRENT_TERM, SETTLED_AT, STAFF_ID, Province

TICKS = os.sysconf("SC_CLK_TCK")
ROWS_PER_TRANSACTION = 400
"""Same as in the product."""


# --- cost ---


@dataclass(slots=True)
class Cost:
    """Wall-clock seconds, and CPU seconds in this process and in the PostgreSQL cluster."""

    seconds: float = 0
    python: float = 0
    postgres: float = 0

    @property
    def cpu(self) -> float:
        return self.python + self.postgres

    def add(self, other: "Cost") -> None:
        """Add another cost."""
        self.seconds += other.seconds
        self.python += other.python
        self.postgres += other.postgres


def cluster_cpu(cluster: Path) -> float:
    """CPU seconds of all running processes of the cluster, and of ended ones, which the postmaster counts."""
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == cluster:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                postmaster = (cluster / "postmaster.pid").read_text().split("\n", 1)[0] == entry.name
                total += sum(map(int, fields[11 : 15 if postmaster else 13]))
        except OSError:  # the process has ended or belongs to another user
            continue
    return total / TICKS


@contextmanager
def measure_cost(cluster: Path) -> Iterator[Cost]:
    """Measure the cost of the block."""
    cost, postgres = Cost(), cluster_cpu(cluster)  # first, because this measurement has a cost too
    started, python = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds = time.perf_counter() - started
    cost.python = time.process_time() - python
    cost.postgres = cluster_cpu(cluster) - postgres


def cluster_directory(province: Province) -> Path:
    with psycopg.connect(province.stack.superuser_dsn) as server:
        row = server.execute("SHOW data_directory").fetchone()
    assert row is not None
    return Path(row[0]).resolve()


# --- baselines ---


def _create_copy(server: psycopg.Connection[Any], table: str) -> None:
    """Create an empty table with the columns and indexes of `table`, or of its partition for the current term."""
    partition = server.execute("SELECT definer.term_partition(%s, %s)", [table, CURRENT_TERM]).fetchone()
    source = (
        f"term_partition.{partition[0]}" if table in {"obligation", "outcome_entry"} and partition else table
    )
    server.execute(f"DROP TABLE IF EXISTS bench_{table}")
    server.execute(f"CREATE TABLE bench_{table} (LIKE {source} INCLUDING ALL)")


def launch_baseline(province: Province, cluster: Path) -> Cost:
    """Insert the obligations of one roll call from the students."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        _create_copy(server, "obligation")
        with measure_cost(cluster) as cost:
            server.execute(
                "INSERT INTO bench_obligation (roll_call_id, term_code, student_id, school_id, class_id, duty, standing,"
                " study_form, programme) SELECT %s, %s, id, school_id, class_id, 'owed', standing, study_form, programme"
                " FROM student",
                [STAFF_ID, CURRENT_TERM],
            )
        server.execute("DROP TABLE bench_obligation")
    return cost


def settlement_baseline(province: Province, cluster: Path, roll_call_id: UUID) -> Cost:
    """Update the outcomes of the missing students in a table with one row per student."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        _create_copy(server, "outcome_entry")
        server.execute(
            "INSERT INTO bench_outcome_entry (roll_call_id, term_code, student_id, seq, school_id, class_id, outcome,"
            " reason, method, policy_version, trace, at) SELECT o.roll_call_id, o.term_code, o.student_id, 1, o.school_id,"
            " o.class_id, coalesce(e.outcome, 'undetermined'), coalesce(e.reason, ''), '', '', '{}', now()"
            " FROM obligation o LEFT JOIN outcome_entry e USING (roll_call_id, term_code, student_id)"
            " WHERE o.roll_call_id = %s",
            [roll_call_id],
        )
        server.execute("VACUUM ANALYZE bench_outcome_entry")
        with measure_cost(cluster) as cost:
            server.execute(
                "UPDATE bench_outcome_entry SET outcome = 'missed', reason = 'no_check_in', method = 'settlement', at = %s"
                " WHERE outcome = 'undetermined'",
                [SETTLED_AT],
            )
        server.execute("DROP TABLE bench_outcome_entry")
    return cost


PROMPT_TABLES = (
    *("student_lock", "prompt", "prompt_step", "standing_warning", "student_standing", "audit_entry"),
    *("outbox_event", "procrastinate_jobs"),
)
"""The tables written when prompts are raised, in the order of their foreign keys."""


_PROMPT_CONDITIONS = {
    "student_lock": "WHERE student_id IN (SELECT student_id FROM prompt)",
    "student_standing": "WHERE student_id IN (SELECT student_id FROM prompt)",
    "audit_entry": "WHERE action = 'prompt.raised'",
    "outbox_event": "WHERE name IN ('PromptRaised', 'StudentWarned')",
    "procrastinate_jobs": "WHERE task_name = 'deliver_events'",
}


def prompts_baseline(province: Province, cluster: Path) -> Cost:
    """Insert all rows recorded for the prompts again, by a client that has the rows and uses `executemany`."""
    total = Cost()
    with (
        psycopg.connect(province.stack.superuser_dsn) as read,
        psycopg.connect(province.stack.superuser_dsn) as write,
    ):
        for table in PROMPT_TABLES:
            _create_copy(write, table)
            with read.cursor(f"all_of_{table}") as cursor:
                cursor.execute(f"SELECT * FROM {table} {_PROMPT_CONDITIONS.get(table, '')}")
                while rows := cursor.fetchmany(ROWS_PER_TRANSACTION):
                    total.add(_insert_rows(write, cluster, table, cursor.description or (), rows))
            write.execute(f"DROP TABLE bench_{table}")
    return total


def _insert_rows(
    server: psycopg.Connection[Any],
    cluster: Path,
    table: str,
    columns: Sequence[psycopg.Column],
    rows: Sequence[tuple[Any, ...]],
) -> Cost:
    """Insert some rows in one transaction."""
    json_columns = {
        n for n, column in enumerate(columns) if column.type_code == psycopg.adapters.types["jsonb"].oid
    }
    values_of_rows = [
        tuple(
            Jsonb(value) if n in json_columns and value is not None else value for n, value in enumerate(row)
        )
        for row in rows
    ]
    names = ", ".join(column.name for column in columns)
    values = ", ".join(["%s"] * len(columns))
    with measure_cost(cluster) as cost, server.cursor() as cursor:
        cursor.executemany(f"INSERT INTO bench_{table} ({names}) VALUES ({values})".encode(), values_of_rows)
        server.commit()
    return cost


def prompts_copy_baseline(province: Province, cluster: Path) -> Cost:
    """Copy the same rows inside the database by INSERT … SELECT, the lowest possible cost."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        for table in PROMPT_TABLES:
            _create_copy(server, table)
        with measure_cost(cluster) as cost:
            for table in PROMPT_TABLES:
                server.execute(
                    f"INSERT INTO bench_{table} SELECT * FROM {table} {_PROMPT_CONDITIONS.get(table, '')}"
                )
        for table in PROMPT_TABLES:
            server.execute(f"DROP TABLE bench_{table}")
    return cost
