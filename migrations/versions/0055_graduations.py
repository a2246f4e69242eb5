"""Graduations with certificate and photograph"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_student_readable_table

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "graduation",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("certificate_number", sa.String(), nullable=False),
        sa.Column("portrait_id", sa.Uuid(), nullable=False),
        sa.Column("leaving_on", sa.Date(), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("edit_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("result IN ('07', '08')", name=op.f("ck_graduation_result")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_graduation_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_graduation_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["edit_id"], ["standing_edit.id"], name=op.f("fk_graduation_edit_id_standing_edit")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_graduation")),
    )
    op.create_index(
        "uq_graduation_certificate", "graduation", ["school_id", "certificate_number"], unique=True
    )
    op.create_index("ix_graduation_school", "graduation", ["school_id", "student_id"])
    protect_student_readable_table("graduation")
