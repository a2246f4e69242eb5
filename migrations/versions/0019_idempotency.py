"""Idempotency keys: requests of staff that took effect, and their recorded responses"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import APP_ROLE, force_row_level_security

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency_key")),
    )
    own = "account_id = (SELECT tenancy.account())"
    force_row_level_security("idempotency_key", "SELECT, INSERT, UPDATE (status, response), DELETE")
    op.execute(f"CREATE POLICY own_key ON idempotency_key TO {APP_ROLE} USING ({own}) WITH CHECK ({own})")


def downgrade() -> None:
    op.drop_table("idempotency_key")
