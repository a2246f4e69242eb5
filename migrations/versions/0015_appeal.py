"""Appeal: cases, deadlines, messages, and what a decision on an appeal adds"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import (
    protect_school_table,
    protect_student_readable_table,
    protect_student_table,
)
from migrations.sql_files import create_definer_functions

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_case_tables()
    _create_message_tables()
    _create_decision_tables()
    create_definer_functions("authorities_of_accounts")


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    referred = target.partition(".")[0]
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}_{referred}"))


def _create_case_tables() -> None:
    op.create_table(
        "appeal_case",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("unit_path", sa.String(), nullable=False),
        sa.Column("judged_on", sa.Date(), nullable=True),
        sa.CheckConstraint("level >= 1", name=op.f("ck_appeal_case_level")),
        _foreign_key("appeal_case", "appeal_id", "appeal_filed.id"),
        _foreign_key("appeal_case", "unit_id", "org_unit.id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_case")),
    )
    op.create_index("ix_appeal_case_unit", "appeal_case", ["unit_id", "appeal_id"])
    op.create_table(
        "appeal_due",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", TIMESTAMP, nullable=False),
        sa.Column("computed_at", TIMESTAMP, nullable=False),
        _foreign_key("appeal_due", "appeal_id", "appeal_case.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_due")),
    )
    op.create_index("ix_appeal_due_due_at", "appeal_due", ["due_at"])
    op.create_table(
        "appeal_reminder",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("working_day", sa.SmallInteger(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        _foreign_key("appeal_reminder", "appeal_id", "appeal_case.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", "working_day", name=op.f("pk_appeal_reminder")),
    )
    protect_student_table("appeal_case", grants="SELECT, INSERT")
    protect_student_table("appeal_due", grants="SELECT, INSERT")
    protect_school_table("appeal_reminder", "SELECT, INSERT")


def _create_message_tables() -> None:
    op.create_table(
        "appeal_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("author", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint("side IN ('appellant', 'unit')", name=op.f("ck_appeal_message_side")),
        _foreign_key("appeal_message", "appeal_id", "appeal_case.appeal_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeal_message")),
        sa.UniqueConstraint("appeal_id", "seq", name=op.f("uq_appeal_message_appeal_id_seq")),
    )
    op.create_table(
        "appeal_message_read",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        _foreign_key("appeal_message_read", "message_id", "appeal_message.id"),
        sa.PrimaryKeyConstraint("message_id", "account_id", name=op.f("pk_appeal_message_read")),
    )
    protect_student_table("appeal_message", grants="SELECT, INSERT")
    protect_student_table("appeal_message_read", grants="SELECT, INSERT")


def _create_decision_tables() -> None:
    op.create_table(
        "appeal_impartiality",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("filed_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("took_part", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("sole_account", sa.Boolean(), nullable=False),
        sa.CheckConstraint("decided_by <> filed_by", name=op.f("ck_appeal_impartiality_by_another_account")),
        sa.CheckConstraint(
            "sole_account OR decided_by <> ALL (took_part)", name=op.f("ck_appeal_impartiality_took_no_part")
        ),
        _foreign_key("appeal_impartiality", "appeal_id", "appeal_decided.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_appeal_impartiality")),
    )
    op.create_table(
        "gaokao_finding",
        sa.Column("appeal_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("exam_year", sa.SmallInteger(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        _foreign_key("gaokao_finding", "appeal_id", "appeal_decided.appeal_id"),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_gaokao_finding")),
    )
    op.create_index("ix_gaokao_finding_student", "gaokao_finding", ["student_id", "exam_year"])
    protect_school_table("appeal_impartiality", "SELECT, INSERT")
    protect_student_readable_table("gaokao_finding")
