"""Looks: a person compares pictures of a check-in with the ID portrait"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import partitioning
from migrations.row_level_security import protect_org_table, protect_student_readable_table

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_request_table()
    _create_answer_table()
    _create_closing_table()
    _create_notice_table()
    for table in ("look_request", "look_answer", "look_closing"):
        protect_student_readable_table(table)
    protect_org_table("look_notice", grants="SELECT, INSERT")


def _request_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["request_id", "school_id", "term_code"],
        ["look_request.id", "look_request.school_id", "look_request.term_code"],
        name=op.f(f"fk_{table}_request_id_school_id_term_code_look_request"),
    )


def _create_request_table() -> None:
    op.create_table(
        "look_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("portrait_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("frames", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reviews", sa.Uuid(), nullable=True),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.CheckConstraint("side IN ('school', 'launcher')", name=op.f("ck_look_request_side")),
        sa.CheckConstraint("jsonb_array_length(frames) BETWEEN 1 AND 2", name=op.f("ck_look_request_frames")),
        sa.ForeignKeyConstraint(
            ["roll_call_id", "term_code"],
            ["roll_call.id", "roll_call.term_code"],
            name=op.f("fk_look_request_roll_call_id_term_code_roll_call"),
        ),
        sa.ForeignKeyConstraint(
            ["submission_id", "school_id", "term_code"],
            ["submission.id", "submission.school_id", "submission.term_code"],
            name=op.f("fk_look_request_submission_id_school_id_term_code_submission"),
        ),
        sa.UniqueConstraint(
            "submission_id",
            "side",
            "reviews",
            "school_id",
            "term_code",
            name="uq_look_request_once",
            postgresql_nulls_not_distinct=True,
        ),
        sa.PrimaryKeyConstraint("id", "school_id", "term_code", name=op.f("pk_look_request")),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_look_request_student", "look_request", ["roll_call_id", "student_id"])
    op.create_index("ix_look_request_expires_at", "look_request", ["expires_at", "id"])


def _create_answer_table() -> None:
    op.create_table(
        "look_answer",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("same", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("sampled", sa.Boolean(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint("same IN ('yes', 'no', 'unsure')", name=op.f("ck_look_answer_same")),
        sa.CheckConstraint("counted OR NOT sampled", name=op.f("ck_look_answer_sampled")),
        _request_key("look_answer"),
        sa.PrimaryKeyConstraint("request_id", "school_id", "term_code", name=op.f("pk_look_answer")),
        postgresql_partition_by=partitioning.BY_TERM,
    )
    op.create_index("ix_look_answer_roll_call", "look_answer", ["roll_call_id", "class_id"])


def _create_closing_table() -> None:
    op.create_table(
        "look_closing",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint(
            "reason IN ('expired', 'not_needed', 'consent_revoked', 'quota')",
            name=op.f("ck_look_closing_reason"),
        ),
        _request_key("look_closing"),
        sa.PrimaryKeyConstraint("request_id", "school_id", "term_code", name=op.f("pk_look_closing")),
        postgresql_partition_by=partitioning.BY_TERM,
    )


def _create_notice_table() -> None:
    op.create_table(
        "look_notice",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint("kind IN ('waiting', 'expiring')", name=op.f("ck_look_notice_kind")),
        sa.ForeignKeyConstraint(
            ["roll_call_id"], ["roll_call.id"], name=op.f("fk_look_notice_roll_call_id_roll_call")
        ),
        sa.PrimaryKeyConstraint("roll_call_id", "kind", "account_id", name=op.f("pk_look_notice")),
    )
