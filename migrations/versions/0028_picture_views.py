"""The record of who looked at pictures of faces"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_student_readable_table

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "picture_view",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('province', 'bureau', 'registrar', 'counselor')", name=op.f("ck_picture_view_role")
        ),
        sa.CheckConstraint(
            "kind IN ('frame', 'enrolment_shot', 'rebinding_shot', 'portrait')",
            name=op.f("ck_picture_view_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_picture_view_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_picture_view")),
    )
    op.create_index("ix_picture_view_student", "picture_view", ["student_id", "id"])
    protect_student_readable_table("picture_view")
