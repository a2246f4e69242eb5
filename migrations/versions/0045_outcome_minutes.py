"""Outcomes of a school by minute: the curve of a roll call"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table
from migrations.sql_files import create_definer_functions

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_OUTCOMES = ("present", "missed", "excused", "undetermined")


def upgrade() -> None:
    op.execute("LOCK TABLE outcome_entry IN SHARE ROW EXCLUSIVE MODE")
    op.execute("SELECT definer.flush_outcome_counts()")  # pending changes have no minute
    op.add_column("outcome_count_pending", sa.Column("minute", sa.DateTime(timezone=True), nullable=False))
    op.create_table(
        "outcome_minute",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(outcome, sa.Integer(), nullable=False) for outcome in _OUTCOMES),
        sa.PrimaryKeyConstraint("roll_call_id", "school_id", "minute", name=op.f("pk_outcome_minute")),
    )
    protect_school_table("outcome_minute", "SELECT")
    create_definer_functions("flush_outcome_counts.v2", "recount_outcomes.v2")
    create_definer_functions("count_outcomes.v2", callable_by_app=False)
    _fill_minutes()


def _fill_minutes() -> None:
    """Count the existing outcomes. Each entry takes away its predecessor, in its own minute."""
    columns = ", ".join(
        f"coalesce(sum(c.n) FILTER (WHERE c.outcome = '{outcome}'), 0)" for outcome in _OUTCOMES
    )
    op.execute(
        f"INSERT INTO outcome_minute (roll_call_id, school_id, minute, {', '.join(_OUTCOMES)})"  # noqa: S608 - our own names
        f" SELECT c.roll_call_id, c.school_id, c.minute, {columns} FROM ("
        "  SELECT e.roll_call_id, e.school_id, date_trunc('minute', e.at) AS minute, e.outcome, 1 AS n"
        "  FROM outcome_entry e"
        "  UNION ALL"
        "  SELECT e.roll_call_id, e.school_id, date_trunc('minute', e.at), before.outcome, -1 FROM outcome_entry e"
        "  JOIN outcome_entry before ON before.term_code = e.term_code AND before.roll_call_id = e.roll_call_id"
        "   AND before.student_id = e.student_id AND before.seq = e.seq - 1"
        "  WHERE e.seq > 1"
        " ) c GROUP BY c.roll_call_id, c.school_id, c.minute"
    )
