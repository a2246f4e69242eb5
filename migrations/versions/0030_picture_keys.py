"""Keys of the pictures of faces, which are sealed under opaque names"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_student_table
from migrations.sql_files import create_definer_functions

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "picture_key",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"],
            ["school_template_key.school_id"],
            name=op.f("fk_picture_key_school_id_school_template_key"),
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_picture_key_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_picture_key")),
    )
    # A student's first picture creates the key, under the student's scope. A key is never changed.
    protect_student_table("picture_key", grants="SELECT, INSERT, DELETE")
    op.create_unique_constraint(op.f("uq_portrait_evidence_key"), "portrait", ["evidence_key"])
    op.execute("DROP FUNCTION definer.declared_frames")  # its columns change
    create_definer_functions("declared_frames.v2")
