"""Reminders to schools that have not completed the rehearsal of a cohort"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rehearsal_reminder",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("cohort", sa.String(), nullable=False),
        sa.Column("sent_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["school_id"], ["org_unit.id"], name=op.f("fk_rehearsal_reminder_school_id_org_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rehearsal_reminder")),
    )
    op.create_index("ix_rehearsal_reminder_school", "rehearsal_reminder", ["school_id", "cohort", "at"])
    protect_school_table("rehearsal_reminder", "SELECT, INSERT")
