"""People: classes, counselors, students, their guardians, consents and attachments"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import (
    protect_shared_school_table,
    protect_student_readable_table,
    protect_student_table,
)
from migrations.sql_files import create_definer_functions

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_class_tables()
    _create_student_tables()
    _create_consent_tables()
    _create_attachment_tables()
    create_definer_functions("find_enrolled_student")


def _create_class_tables() -> None:
    op.create_table(
        "school_class",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=True),
        sa.Column("major", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_school_class_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_school_class")),
        sa.UniqueConstraint("school_id", "name", name=op.f("uq_school_class_school_id_name")),
    )
    op.create_table(
        "counselor",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("profile", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_counselor_school_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counselor")),
    )
    op.create_table(
        "class_counselor",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("counselor_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["class_id"], ["school_class.id"], name=op.f("fk_class_counselor_class_id_school_class")
        ),
        sa.ForeignKeyConstraint(
            ["counselor_id"], ["counselor.id"], name=op.f("fk_class_counselor_counselor_id_counselor")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_class_counselor_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_counselor")),
    )
    op.create_index("ix_class_counselor_counselor", "class_counselor", ["counselor_id"])
    op.create_index(
        "uq_class_counselor_current",
        "class_counselor",
        ["class_id"],
        unique=True,
        postgresql_where=sa.text("until IS NULL"),
    )
    for table in ("school_class", "counselor", "class_counselor"):
        protect_shared_school_table(table)


def _create_student_tables() -> None:
    op.create_table(
        "student",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=False),
        sa.Column("document_kind", sa.String(), nullable=False),
        sa.Column("id_number_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("id_number_index", sa.LargeBinary(), nullable=False),
        sa.Column("student_number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("student_number_index", sa.LargeBinary(), nullable=True),
        sa.Column("programme", sa.String(), nullable=False),
        sa.Column("study_form", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("entry_month", sa.String(), nullable=True),
        sa.Column("major", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("record", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("row_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("study_form IN ('full_time', 'part_time')", name=op.f("ck_student_study_form")),
        sa.CheckConstraint(
            "(student_number_sealed IS NULL) = (student_number_index IS NULL)",
            name=op.f("ck_student_student_number"),
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["school_class.id"], name=op.f("fk_student_class_id_school_class")
        ),
        sa.ForeignKeyConstraint(["school_id"], ["org_unit.id"], name=op.f("fk_student_school_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_student")),
        sa.UniqueConstraint(
            "school_id", "id_number_index", name=op.f("uq_student_school_id_id_number_index")
        ),
    )
    op.create_index("ix_student_class", "student", ["class_id"])
    op.create_index("ix_student_id_number_index", "student", ["id_number_index"])
    op.create_index(
        "uq_student_number",
        "student",
        ["school_id", "student_number_index"],
        unique=True,
        postgresql_where=sa.text("student_number_index IS NOT NULL"),
    )
    op.create_table(
        "guardian",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=True),
        sa.Column("is_guardian", sa.Boolean(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_guardian_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guardian")),
        sa.UniqueConstraint("student_id", "position", name=op.f("uq_guardian_student_id_position")),
    )
    op.create_table(
        "student_lock",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_student_lock_student_id_student")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_student_lock")),
    )
    protect_student_readable_table("student", "id", "SELECT, INSERT, UPDATE")
    protect_student_readable_table("guardian", grants="SELECT, INSERT, UPDATE, DELETE")
    protect_student_table("student_lock")


def _create_consent_tables() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text_version", sa.String(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("guardian_name", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["student_id"], ["student.id"], name=op.f("fk_consent_student_id_student")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_student", "consent", ["student_id", "kind", "at"])
    op.create_table(
        "record_check",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=True),
        sa.Column("claimed_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_note", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('confirmed', 'open', 'accepted', 'declined')", name=op.f("ck_record_check_status")
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_record_check_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_check")),
    )
    op.create_index("ix_record_check_student", "record_check", ["student_id", "at"])
    protect_student_table("consent", grants="SELECT, INSERT")
    protect_student_table("record_check")


def _create_attachment_tables() -> None:
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
    protect_student_table("attachment", grants="SELECT, INSERT, UPDATE (stored_at, discarded_at, erased_at)")
    protect_student_table("attachment_link", grants="SELECT, INSERT")
