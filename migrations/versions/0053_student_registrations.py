"""How each student came onto the roll, and permissions to add earlier students"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table, protect_student_readable_table

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "student_registration",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("season", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False),
        sa.Column("record_due_on", sa.Date(), nullable=True),
        sa.Column("cut_off_on", sa.Date(), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False),
        sa.Column("article", sa.String(), nullable=False),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "basis IN ('new', 'carried_over', 'transfer')", name=op.f("ck_student_registration_basis")
        ),
        sa.CheckConstraint(
            "(basis = 'new') = (record_due_on IS NOT NULL)",
            name=op.f("ck_student_registration_record_due_on"),
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_student_registration_student_id_student")
        ),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_student_registration_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_student_registration")),
    )
    op.create_index(
        "ix_student_registration_school", "student_registration", ["school_id", "season", "student_id"]
    )
    op.create_index("ix_student_registration_season", "student_registration", ["season", "student_id"])
    protect_student_readable_table("student_registration")
    op.create_table(
        "carry_over_permission",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("reasons", sa.String(), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_carry_over_permission_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carry_over_permission")),
    )
    op.create_index("ix_carry_over_permission_school", "carry_over_permission", ["school_id", "until"])
    protect_school_table("carry_over_permission", "SELECT, INSERT")
