"""Web push subscriptions of students' phones"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_student_table

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "push_subscription",
        sa.Column("student_id", sa.Uuid(), nullable=False),
        sa.Column("school_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("p256dh", sa.String(), nullable=False),
        sa.Column("auth", sa.String(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("renewed_at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_push_subscription")),
    )
    op.create_index("ix_push_subscription_renewed_at", "push_subscription", ["renewed_at"])
    protect_student_table("push_subscription", grants="SELECT, INSERT, UPDATE, DELETE")
