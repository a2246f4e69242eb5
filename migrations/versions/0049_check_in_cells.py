"""Counts of accepted check-ins in cells of 50 m"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "check_in_cell",
        sa.Column("roll_call_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("cell_row", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("cell_column", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("term_code", sa.String(), nullable=False),
        sa.Column("students", sa.Integer(), nullable=False),
        sa.CheckConstraint("students > 0", name=op.f("ck_check_in_cell_students")),
        sa.ForeignKeyConstraint(
            ["roll_call_id", "term_code"],
            ["roll_call.id", "roll_call.term_code"],
            name=op.f("fk_check_in_cell_roll_call_id_term_code_roll_call"),
        ),
        sa.PrimaryKeyConstraint(
            "roll_call_id", "school_id", "cell_row", "cell_column", name=op.f("pk_check_in_cell")
        ),
    )
    op.create_index("ix_check_in_cell_school", "check_in_cell", ["school_id", "term_code", "cell_row"])
    protect_school_table("check_in_cell", "SELECT, INSERT, UPDATE, DELETE")
