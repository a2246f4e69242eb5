"""Transfers: which record was opened after which one was closed"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import APP_ROLE, protect_two_school_table
from migrations.sql_files import create_definer_functions

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "student_transfer",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("holder_student_id", sa.Uuid(), nullable=False),
        sa.Column("holder_school_id", sa.Uuid(), nullable=False),
        sa.Column("closed_by", sa.Uuid(), nullable=False),
        sa.Column("opened_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("school_id <> holder_school_id", name=op.f("ck_student_transfer_two_schools")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_student_transfer_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_student_transfer_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["holder_student_id"], ["student.id"], name=op.f("fk_student_transfer_holder_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["holder_school_id"], ["org_unit.id"], name=op.f("fk_student_transfer_holder_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_student_transfer")),
        sa.UniqueConstraint("holder_student_id", name=op.f("uq_student_transfer_holder_student_id")),
    )
    protect_two_school_table("student_transfer", "holder_school_id", "SELECT, INSERT")
    op.execute(
        f"CREATE POLICY student_reads ON student_transfer FOR SELECT TO {APP_ROLE}"
        " USING (school_id = (SELECT tenancy.school()) AND student_id = (SELECT tenancy.student()))"
    )
    create_definer_functions("find_transferred_student")
