"""Links with which guardians read about a student"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import APP_ROLE, protect_student_readable_table
from migrations.sql_files import create_definer_functions

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "guardian_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("guardian_id", sa.Uuid(), nullable=False),
        sa.Column("guardian_name", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("issued_at", TIMESTAMP, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.Column("revoked_at", TIMESTAMP, nullable=True),
        sa.Column("revoked_because", sa.String(), nullable=True),
        sa.Column("window_at", TIMESTAMP, nullable=True),
        sa.Column("window_requests", sa.Integer(), nullable=False),
        sa.CheckConstraint("cause IN ('miss', 'warning', 'prompt')", name=op.f("ck_guardian_link_cause")),
        sa.CheckConstraint(
            "revoked_because IN ('consent_withdrawn', 'left_roster')",
            name=op.f("ck_guardian_link_revoked_because"),
        ),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_because IS NULL)", name=op.f("ck_guardian_link_revoked")
        ),
        sa.CheckConstraint("expires_at > issued_at", name=op.f("ck_guardian_link_expires_at")),
        sa.ForeignKeyConstraint(
            ["student_id"], ["student.id"], name=op.f("fk_guardian_link_student_id_student")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guardian_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_guardian_link_token_hash")),
        sa.UniqueConstraint(
            "guardian_id",
            "cause",
            "issued_on",
            "number",
            name=op.f("uq_guardian_link_guardian_id_cause_issued_on_number"),
        ),
    )
    op.create_index("ix_guardian_link_student", "guardian_link", ["student_id"])
    op.create_index("ix_guardian_link_expires_at", "guardian_link", ["expires_at"])
    protect_student_readable_table("guardian_link", grants="SELECT, INSERT, DELETE")
    op.execute(f"GRANT UPDATE (revoked_at, revoked_because) ON guardian_link TO {APP_ROLE}")
    # A student who withdraws the consent revokes the links in the same transaction.
    op.execute(
        f"CREATE POLICY student_revokes ON guardian_link FOR UPDATE TO {APP_ROLE}"
        " USING (school_id = (SELECT tenancy.school()) AND student_id = (SELECT tenancy.student()))"
        " WITH CHECK (school_id = (SELECT tenancy.school()) AND student_id = (SELECT tenancy.student()))"
    )
    create_definer_functions("open_guardian_link")
