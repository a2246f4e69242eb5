"""What the rows of a roll call cost plain SQL: without constraints to other tables, policies or triggers, in the same
database and beside the product's own steps.
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

from bench.province_data import BY, RUNNING, SETTLED, Province

TICKS = os.sysconf("SC_CLK_TCK")
AT_ONCE = 400
"""Rows of a transaction, as the product's."""


# --- what it costs ---


@dataclass(slots=True)
class Cost:
    """Of one step: seconds by the clock, and of processors in this process and in the cluster."""

    seconds: float = 0
    python: float = 0
    postgres: float = 0

    @property
    def cpu(self) -> float:
        return self.python + self.postgres

    def add(self, other: "Cost") -> None:
        """And this."""
        self.seconds += other.seconds
        self.python += other.python
        self.postgres += other.postgres


def cluster_cpu(cluster: Path) -> float:
    """Processor seconds of every living process of the cluster, and of the dead ones, which its first process counts."""
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == cluster:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                postmaster = (cluster / "postmaster.pid").read_text().split("\n", 1)[0] == entry.name
                total += sum(map(int, fields[11 : 15 if postmaster else 13]))
        except OSError:  # ended meanwhile, or another user's
            continue
    return total / TICKS


@contextmanager
def costing(cluster: Path) -> Iterator[Cost]:
    """Fill in what the block cost."""
    cost, postgres = Cost(), cluster_cpu(cluster)  # first, for looking costs something too
    began, python = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds = time.perf_counter() - began
    cost.python = time.process_time() - python
    cost.postgres = cluster_cpu(cluster) - postgres


def cluster_of(province: Province) -> Path:
    with psycopg.connect(province.stack.superuser_dsn) as server:
        found = server.execute("SHOW data_directory").fetchone()
    assert found is not None
    return Path(found[0]).resolve()


# --- floors: plain SQL ---


def _like(server: psycopg.Connection[Any], table: str) -> None:
    """An empty table with the columns and indexes of the running term's part of `table`."""
    part = server.execute("SELECT definer.term_partition(%s, %s)", [table, RUNNING]).fetchone()
    named = f"term_partition.{part[0]}" if table in {"obligation", "outcome_entry"} and part else table
    server.execute(f"DROP TABLE IF EXISTS bench_{table}")
    server.execute(f"CREATE TABLE bench_{table} (LIKE {named} INCLUDING ALL)")


def launch_floor(province: Province, cluster: Path) -> Cost:
    """The obligations of one roll call, from the roll."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        _like(server, "obligation")
        with costing(cluster) as cost:
            server.execute(
                "INSERT INTO bench_obligation (roll_call_id, term_code, student_id, school_id, class_id, duty, standing,"
                " study_form, programme) SELECT %s, %s, id, school_id, class_id, 'owed', standing, study_form, programme"
                " FROM student",
                [BY, RUNNING],
            )
        server.execute("DROP TABLE bench_obligation")
    return cost


def settlement_floor(province: Province, cluster: Path, roll_call_id: UUID) -> Cost:
    """The results of those who are missing still, in a table that has a row for everyone."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        _like(server, "outcome_entry")
        server.execute(
            "INSERT INTO bench_outcome_entry (roll_call_id, term_code, student_id, seq, school_id, class_id, outcome,"
            " reason, method, policy_version, trace, at) SELECT o.roll_call_id, o.term_code, o.student_id, 1, o.school_id,"
            " o.class_id, coalesce(e.outcome, 'undetermined'), coalesce(e.reason, ''), '', '', '{}', now()"
            " FROM obligation o LEFT JOIN outcome_entry e USING (roll_call_id, term_code, student_id)"
            " WHERE o.roll_call_id = %s",
            [roll_call_id],
        )
        server.execute("VACUUM ANALYZE bench_outcome_entry")
        with costing(cluster) as cost:
            server.execute(
                "UPDATE bench_outcome_entry SET outcome = 'missed', reason = 'no_check_in', method = 'settlement', at = %s"
                " WHERE outcome = 'undetermined'",
                [SETTLED],
            )
        server.execute("DROP TABLE bench_outcome_entry")
    return cost


RECORDED = (
    *("student_lock", "prompt", "prompt_step", "standing_warning", "student_standing", "audit_entry"),
    *("outbox_event", "procrastinate_jobs"),
)
"""Where the rows are that raising prompts writes, in the order of their references."""


_OF_PROMPTS = {
    "student_lock": "WHERE student_id IN (SELECT student_id FROM prompt)",
    "student_standing": "WHERE student_id IN (SELECT student_id FROM prompt)",
    "audit_entry": "WHERE action = 'prompt.raised'",
    "outbox_event": "WHERE name IN ('PromptRaised', 'StudentWarned')",
    "procrastinate_jobs": "WHERE task_name = 'deliver_events'",
}


def prompts_floor(province: Province, cluster: Path) -> Cost:
    """Everything that was recorded of the prompts that were raised, once more: by a client that has the rows, and sends
    them in plain INSERTs as its driver does for many.
    """
    whole = Cost()
    with (
        psycopg.connect(province.stack.superuser_dsn) as read,
        psycopg.connect(province.stack.superuser_dsn) as write,
    ):
        for table in RECORDED:
            _like(write, table)
            with read.cursor(f"all_of_{table}") as found:
                found.execute(f"SELECT * FROM {table} {_OF_PROMPTS.get(table, '')}")
                while rows := found.fetchmany(AT_ONCE):
                    whole.add(_inserted(write, cluster, table, found.description or (), rows))
            write.execute(f"DROP TABLE bench_{table}")
    return whole


def _inserted(
    server: psycopg.Connection[Any],
    cluster: Path,
    table: str,
    columns: Sequence[psycopg.Column],
    rows: Sequence[tuple[Any, ...]],
) -> Cost:
    """One transaction of them."""
    documents = {
        n for n, column in enumerate(columns) if column.type_code == psycopg.adapters.types["jsonb"].oid
    }
    sent = [
        tuple(Jsonb(value) if n in documents and value is not None else value for n, value in enumerate(row))
        for row in rows
    ]
    names = ", ".join(column.name for column in columns)
    values = ", ".join(["%s"] * len(columns))
    with costing(cluster) as cost, server.cursor() as cursor:
        cursor.executemany(f"INSERT INTO bench_{table} ({names}) VALUES ({values})".encode(), sent)
        server.commit()
    return cost


def prompts_copied(province: Province, cluster: Path) -> Cost:
    """The same rows, which the database has already, copied inside of it by INSERT … SELECT: nothing is less."""
    with psycopg.connect(province.stack.superuser_dsn, autocommit=True) as server:
        for table in RECORDED:
            _like(server, table)
        with costing(cluster) as cost:
            for table in RECORDED:
                server.execute(
                    f"INSERT INTO bench_{table} SELECT * FROM {table} {_OF_PROMPTS.get(table, '')}"
                )
        for table in RECORDED:
            server.execute(f"DROP TABLE bench_{table}")
    return cost
