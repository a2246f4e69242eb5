"""Sessions of browsers: the refresh token before the current one, and when it was replaced"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "staff_session", sa.Column("in_browser", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.alter_column("staff_session", "in_browser", server_default=None)
    op.add_column("staff_session", sa.Column("previous_hash", sa.LargeBinary(), nullable=True))
    op.add_column("staff_session", sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True))
