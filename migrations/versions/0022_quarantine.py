"""Quarantine: roster rows whose ID number is on another roll, and one enrolled student per ID number"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import protect_two_school_table

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

GRANTS = (
    "SELECT, INSERT, UPDATE (state, decided_by, decided_at, reasons, row_data, id_number_sealed,"
    " student_number_sealed, student_number_index)"
)


def upgrade() -> None:
    op.create_index(
        "uq_student_enrolled",
        "student",
        ["id_number_index"],
        unique=True,
        postgresql_where=sa.text("standing NOT IN ('03', '07', '08', '09', '10', '11', '14', '99')"),
    )
    op.create_table(
        "quarantined_enrolment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("holder_school_id", sa.Uuid(), nullable=False),
        sa.Column("holder_student_id", sa.Uuid(), nullable=False),
        sa.Column("id_number_index", sa.LargeBinary(), nullable=False),
        sa.Column("masked_number", sa.String(), nullable=False),
        sa.Column("id_number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("student_number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("student_number_index", sa.LargeBinary(), nullable=True),
        sa.Column("row_data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("file_sha256", sa.String(), nullable=False),
        sa.Column("imported_by", sa.Uuid(), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reasons", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'transferred', 'different_person', 'error', 'withdrawn', 'released')",
            name=op.f("ck_quarantined_enrolment_state"),
        ),
        sa.CheckConstraint(
            "(state = 'open') = (decided_at IS NULL)", name=op.f("ck_quarantined_enrolment_decided")
        ),
        sa.CheckConstraint(
            "school_id <> holder_school_id", name=op.f("ck_quarantined_enrolment_two_schools")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_quarantined_enrolment_school_id_org_unit")
        ),
        sa.ForeignKeyConstraint(
            ["holder_school_id"],
            ["org_unit.id"],
            name=op.f("fk_quarantined_enrolment_holder_school_id_org_unit"),
        ),
        sa.ForeignKeyConstraint(
            ["holder_student_id"],
            ["student.id"],
            name=op.f("fk_quarantined_enrolment_holder_student_id_student"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_enrolment")),
    )
    op.create_index(
        "uq_quarantined_enrolment_open",
        "quarantined_enrolment",
        ["school_id", "id_number_index"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_quarantined_enrolment_school", "quarantined_enrolment", ["school_id", "id_number_index"]
    )
    op.create_index("ix_quarantined_enrolment_holder", "quarantined_enrolment", ["holder_school_id", "id"])
    protect_two_school_table("quarantined_enrolment", "holder_school_id", GRANTS)
