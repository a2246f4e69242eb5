"""Challenges: the instants at which the actions are shown"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "challenge",
        sa.Column("cues_ms", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
    )
    op.alter_column("challenge", "cues_ms", server_default=None)


def downgrade() -> None:
    op.drop_column("challenge", "cues_ms")
