"""Outcomes of a roll call, and the counters that the database keeps of them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import partitioning
from migrations.row_level_security import protect_shared_school_table, protect_student_readable_table
from migrations.sql_files import create_definer_functions

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


_OUTCOMES = ("present", "missed", "excused", "undetermined")


def upgrade() -> None:
    _create_outcome_table()
    _create_counter_tables()
    create_definer_functions("open_obligations", "flush_outcome_counts", "recount_outcomes", "progress_since")
    create_definer_functions("count_outcomes", callable_by_app=False)
    op.execute(
        "CREATE TRIGGER count_outcomes AFTER INSERT ON outcome_entry REFERENCING NEW TABLE AS new_rows"
        " FOR EACH STATEMENT EXECUTE FUNCTION definer.count_outcomes()"
    )


def _outcome_columns() -> list[sa.Column[int]]:
    return [sa.Column(outcome, sa.Integer(), nullable=False) for outcome in _OUTCOMES]


def _create_outcome_table() -> None:
    op.create_table(
        "outcome_entry",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('present', 'missed', 'excused', 'undetermined')",
            name=op.f("ck_outcome_entry_outcome"),
        ),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_outcome_entry_seq")),
        sa.ForeignKeyConstraint(
            ["submission_id", "school_id", "term_code"],
            ["submission.id", "submission.school_id", "submission.term_code"],
            name=op.f("fk_outcome_entry_submission_id_school_id_term_code_submission"),
        ),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "student_id", "seq", "school_id", "term_code", name=op.f("pk_outcome_entry")
        ),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index(
        "ix_outcome_entry_others",
        "outcome_entry",
        ["roll_call_id", "school_id", "outcome", "student_id"],
        postgresql_where=sa.text("outcome <> 'present'"),
    )
    op.create_index(
        "ix_outcome_entry_missed",
        "outcome_entry",
        ["school_id", "roll_call_id", "student_id"],
        postgresql_where=sa.text("outcome = 'missed'"),
    )
    protect_student_readable_table("outcome_entry")


def _create_counter_tables() -> None:
    op.create_table(
        "outcome_count",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        *_outcome_columns(),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("roll_call_id", "school_id", "class_id", name=op.f("pk_outcome_count")),
    )
    op.create_index("ix_outcome_count_version", "outcome_count", ["roll_call_id", "version"])
    op.create_table(
        "outcome_count_pending",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        *_outcome_columns(),
        sa.PrimaryKeyConstraint("id", "school_id", name=op.f("pk_outcome_count_pending")),
    )
    op.create_index(
        "ix_outcome_count_pending_roll_call", "outcome_count_pending", ["roll_call_id", "class_id"]
    )
    op.execute("CREATE SEQUENCE outcome_count_version AS bigint")
    for table in ("outcome_count", "outcome_count_pending"):
        protect_shared_school_table(table, "SELECT")
