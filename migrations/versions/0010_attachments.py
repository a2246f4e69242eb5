"""Attachments"""

import sqlalchemy as sa
from alembic import op

from migrations import rls

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attachment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_from", sa.String(), nullable=False),
        sa.Column("by_student", sa.Boolean(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "media_type IN ('image/jpeg', 'application/pdf')", name=op.f("ck_attachment_media_type")
        ),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_attachment_size_bytes")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_attachment_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
        sa.UniqueConstraint(
            "id", "school_id", "student_id", name=op.f("uq_attachment_id_school_id_student_id")
        ),
    )
    op.create_index("ix_attachment_student", "attachment", ["student_id", "uploaded_by", "uploaded_at"])
    op.create_table(
        "attachment_link",
        sa.Column("attachment_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("linked_by", sa.Uuid(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["attachment_id", "school_id", "student_id"],
            ["attachment.id", "attachment.school_id", "attachment.student_id"],
            name=op.f("fk_attachment_link_attachment"),
        ),
        sa.PrimaryKeyConstraint("attachment_id", name=op.f("pk_attachment_link")),
        sa.UniqueConstraint(
            "subject_type",
            "subject_id",
            "position",
            name=op.f("uq_attachment_link_subject_type_subject_id_position"),
        ),
    )
    rls.student_table("attachment", grants="SELECT, INSERT, UPDATE (stored_at, discarded_at, erased_at)")
    rls.student_table("attachment_link", grants="SELECT, INSERT")
