"""Undetermined results over all roll calls, and what a person found about a difference of the replay"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_school_table

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_outcome_entry_undetermined",
        "outcome_entry",
        ["school_id", "at"],
        postgresql_where=sa.text("outcome = 'undetermined'"),
    )
    op.create_table(
        "replay_difference_review",
        sa.Column("difference_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("reviewed_by", sa.Uuid(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["difference_id"],
            ["replay_difference.id"],
            name=op.f("fk_replay_difference_review_difference_id_replay_difference"),
        ),
        sa.PrimaryKeyConstraint("difference_id", name=op.f("pk_replay_difference_review")),
    )
    protect_school_table("replay_difference_review", "SELECT, INSERT")
