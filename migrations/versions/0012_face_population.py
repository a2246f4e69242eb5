"""The mean of those who enrolled, by engine"""

import sqlalchemy as sa
from alembic import op

from migrations import rls

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "face_population",
        sa.Column("engine_id", sa.String(), nullable=False),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("centre", sa.LargeBinary(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_face_population_version")),
        sa.PrimaryKeyConstraint("engine_id", "engine_version", "version", name=op.f("pk_face_population")),
    )
    rls.open_table("face_population", "(SELECT tenancy.is_wide())", grants="SELECT, INSERT")
