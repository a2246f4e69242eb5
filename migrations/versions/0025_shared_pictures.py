"""Fingerprints of enrolled pictures, and reports of pictures that two students share"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table, protect_student_table
from migrations.sql_files import create_definer_functions

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "picture_fingerprint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("file_index", sa.LargeBinary(), nullable=False),
        sa.Column("pixel_index", sa.LargeBinary(), nullable=False),
        sa.Column("phash", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "source IN ('face_enrolment', 'portrait')", name=op.f("ck_picture_fingerprint_source")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_picture_fingerprint_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_picture_fingerprint")),
        sa.UniqueConstraint("source_id", "position", name=op.f("uq_picture_fingerprint_source_id_position")),
    )
    op.create_index("ix_picture_fingerprint_file", "picture_fingerprint", ["file_index"])
    op.create_index("ix_picture_fingerprint_pixel", "picture_fingerprint", ["pixel_index"])
    op.create_index("ix_picture_fingerprint_school", "picture_fingerprint", ["school_id"])
    op.create_index("ix_picture_fingerprint_student", "picture_fingerprint", ["student_id"])
    op.create_table(
        "shared_picture",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("other_school_id", sa.Uuid(), nullable=False),
        sa.Column("other_student_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sent_by_other", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source IN ('face_enrolment', 'portrait')", name=op.f("ck_shared_picture_source")),
        sa.CheckConstraint("kind IN ('same', 'near_duplicate')", name=op.f("ck_shared_picture_kind")),
        sa.CheckConstraint("student_id <> other_student_id", name=op.f("ck_shared_picture_students")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_shared_picture_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_picture")),
    )
    op.create_index(
        "uq_shared_picture_source",
        "shared_picture",
        ["school_id", "source_id", "student_id", "other_student_id"],
        unique=True,
    )
    protect_student_table("picture_fingerprint", grants="SELECT, INSERT, DELETE")
    protect_school_table("shared_picture", grants="SELECT, INSERT")
    create_definer_functions("find_shared_pictures")
