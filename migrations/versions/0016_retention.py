"""Retention: what each run deleted"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_org_table

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("oldest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(items = 0) = (newest IS NULL)", name=op.f("ck_retention_run_newest")),
        sa.CheckConstraint("(items = 0) = (oldest IS NULL)", name=op.f("ck_retention_run_oldest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_run")),
    )
    protect_org_table("retention_run", grants="SELECT, INSERT")
