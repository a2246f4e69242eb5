"""Reads the final state of the database with plain SQL as the superuser, independently of the product's code."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
FROZEN = {
    "roll_call": (
        (
            "id, kind, title, launcher_id, launched_by, term_code, audience, seed, policy_version, launched_at,"
            " notify_at, opens_at, closes_at"
        ),
        "id",
    ),
    "obligation": (
        "roll_call_id, student_id, school_id, class_id, duty, reason, standing, study_form, programme",
        "roll_call_id",
    ),
    "roll_call_class": ("roll_call_id, class_id, school_id, owed, excused, exempt", "roll_call_id"),
    "roll_call_site": ("roll_call_id, site_version_id, school_id", "roll_call_id"),
}
"""Table → the columns that a launch freezes, and the column with the roll call id."""


def rows(connection: psycopg.Connection[Any], statement: str, *parameters: Any) -> list[Row]:
    """Run a query and return its rows as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall()


def frozen_digest(connection: psycopg.Connection[Any], roll_call_id: str) -> str:
    """Return a digest of all rows that a launch froze (invariant 10)."""
    digest = hashlib.sha256()
    for table, (columns, key) in FROZEN.items():
        found = rows(
            connection,
            f"SELECT ROW({columns})::text AS line FROM {table} WHERE {key} = %s ORDER BY 1",
            roll_call_id,
        )
        digest.update(table.encode())
        for row in found:
            digest.update(row["line"].encode() + b"\n")
    return digest.hexdigest()


def exists(connection: psycopg.Connection[Any], table: str) -> bool:
    return bool(rows(connection, "SELECT to_regclass(%s) IS NOT NULL AS found", table)[0]["found"])


@dataclass(slots=True)
class Records:
    """The rows that the checker reads."""

    roll_calls: dict[str, Row] = field(default_factory=dict)
    steps: dict[tuple[str, str], Row] = field(default_factory=dict)
    obligations: list[Row] = field(default_factory=list)
    class_figures: list[Row] = field(default_factory=list)
    submissions: dict[str, Row] = field(default_factory=dict)
    """By nonce."""
    verdicts: dict[str, Row] = field(default_factory=dict)
    """By submission."""
    outcomes: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    """By roll call and student, in order of sequence number."""
    frames: dict[str, int] = field(default_factory=dict)
    """Number of stored frames by submission."""

    @classmethod
    def read(cls, connection: psycopg.Connection[Any]) -> "Records":
        """Read all rows."""
        found = cls()

        def select(statement: str) -> list[Row]:
            return rows(connection, statement)

        for row in select("SELECT id::text, opens_at, closes_at, frames_until FROM roll_call"):
            found.roll_calls[row["id"]] = row
        for row in select("SELECT roll_call_id::text, step, figures, at FROM roll_call_step"):
            found.steps[row["roll_call_id"], row["step"]] = row
        found.obligations = select(
            "SELECT roll_call_id::text, student_id::text, class_id::text, duty FROM obligation"
        )
        found.class_figures = select(
            "SELECT roll_call_id::text, class_id::text, school_id::text, owed, excused, exempt FROM roll_call_class"
        )
        for row in select(
            "SELECT id::text, roll_call_id::text, student_id::text, nonce, receipt, received_at, frame_count,"
            " in_cool_down FROM submission"
        ):
            found.submissions[row["nonce"]] = row
        for row in select("SELECT submission_id::text, finding, reasons, at FROM verdict"):
            found.verdicts[row["submission_id"]] = row
        ordered = defaultdict(list)
        for row in select(
            "SELECT roll_call_id::text, student_id::text, class_id::text, seq, outcome, reason, method, at"
            " FROM outcome_entry ORDER BY seq"
        ):
            ordered[row["roll_call_id"], row["student_id"]].append(row)
        found.outcomes = dict(ordered)
        for row in select("SELECT submission_id::text AS id, count(*) AS n FROM submission_frame GROUP BY 1"):
            found.frames[row["id"]] = row["n"]
        return found

    def effective(self, roll_call_id: str, student_id: str) -> Row | None:
        entries = self.outcomes.get((roll_call_id, student_id))
        return entries[-1] if entries else None
