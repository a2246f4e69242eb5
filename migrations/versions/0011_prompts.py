"""Standing: prompts, their steps, notices, statements and decisions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import compression
from migrations.row_level_security import (
    protect_school_table,
    protect_student_readable_table,
    protect_student_table,
)

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_prompt_tables()
    _create_delivery_tables()
    _create_decision_tables()


def _create_prompt_tables() -> None:
    op.create_table(
        "prompt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("grounds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("event_day", sa.Date(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed", sa.String(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "kind IN ('misses', 'leave_over_cap', 'absence_without_leave')", name=op.f("ck_prompt_kind")
        ),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_prompt_school_id_org_unit")),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_prompt_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt")),
        sa.UniqueConstraint("id", "school_id", "student_id", name=op.f("uq_prompt_id_school_id_student_id")),
    )
    compression.use_lz4("prompt", "trace")
    op.create_index("ix_prompt_raised_at", "prompt", ["raised_at", "id"])
    op.create_index("ix_prompt_school", "prompt", ["school_id", "raised_at"])
    op.create_index("ix_prompt_student", "prompt", ["student_id", "raised_at"])
    op.create_table(
        "prompt_step",
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_year", sa.Integer(), nullable=True),
        sa.Column("blockers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("dismissal", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('undelivered', 'running', 'dismissal_pending', 'blocked', 'escalated', 'decided', 'executed', 'dismissed', 'withdrawn')",
            name=op.f("ck_prompt_step_state"),
        ),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_step_prompt_id_prompt")),
        sa.PrimaryKeyConstraint("prompt_id", "seq", name=op.f("pk_prompt_step")),
    )
    op.create_index("ix_prompt_step_student", "prompt_step", ["student_id"])
    protect_student_readable_table("prompt")
    protect_student_readable_table("prompt_step")


def _create_delivery_tables() -> None:
    op.create_table(
        "prompt_delivered",
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_delivered_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_prompt_delivered")),
    )
    op.create_table(
        "prompt_reminder",
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("working_day", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_reminder_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("prompt_id", "working_day", name=op.f("pk_prompt_reminder")),
    )
    op.create_table(
        "prompt_statement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_statement_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_statement")),
    )
    op.create_index("ix_prompt_statement_prompt", "prompt_statement", ["prompt_id"])
    protect_student_readable_table("prompt_delivered")
    protect_school_table("prompt_reminder", "SELECT, INSERT")
    protect_student_table("prompt_statement", grants="SELECT, INSERT")


def _create_decision_tables() -> None:
    op.create_table(
        "prompt_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("found_reason", sa.String(), nullable=True),
        sa.Column("found_text", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(outcome = 'dismiss') = (found_reason IS NOT NULL)", name=op.f("ck_prompt_decision_found_reason")
        ),
        sa.CheckConstraint("role IN ('registrar', 'superior')", name=op.f("ck_prompt_decision_role")),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_decision_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_decision")),
        sa.UniqueConstraint("id", "decided_by", name=op.f("uq_prompt_decision_id_decided_by")),
    )
    op.create_index("ix_prompt_decision_prompt", "prompt_decision", ["prompt_id"])
    op.create_index("ix_prompt_decision_student", "prompt_decision", ["student_id"])
    op.create_table(
        "dismissal_answer",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("answered_by <> decided_by", name=op.f("ck_dismissal_answer_by_another_account")),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["prompt_decision.id"],
            name=op.f("fk_dismissal_answer_decision_id_prompt_decision"),
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_dismissal_answer")),
    )
    protect_student_readable_table("prompt_decision")
    protect_student_readable_table("dismissal_answer")
