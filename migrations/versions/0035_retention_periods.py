"""Periods of envelopes, positions of attesters, and the record of views of pictures"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import APP_ROLE
from migrations.sql_files import create_definer_functions

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("submission", sa.Column("envelope_deleted_at", TIMESTAMP, nullable=True))
    op.create_index(
        "ix_submission_envelope_kept",
        "submission",
        ["received_at"],
        postgresql_where=sa.text("frames_deleted_at IS NOT NULL AND envelope_deleted_at IS NULL"),
    )
    op.execute(f"GRANT UPDATE (envelope, envelope_deleted_at) ON submission TO {APP_ROLE}")
    op.add_column("attestation", sa.Column("position_deleted_at", TIMESTAMP, nullable=True))
    op.create_index(
        "ix_attestation_position_kept",
        "attestation",
        ["at"],
        postgresql_where=sa.text("position_deleted_at IS NULL"),
    )
    op.execute(f"GRANT UPDATE (position, position_deleted_at) ON attestation TO {APP_ROLE}")
    op.create_index("ix_picture_view_at", "picture_view", ["at"])
    create_definer_functions("delete_picture_views")
