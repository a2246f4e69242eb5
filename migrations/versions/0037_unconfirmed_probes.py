"""Probes of rehearsals that no counselor confirmed have a period"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_face_calibration_probe_unconfirmed",
        "face_calibration_probe",
        ["at"],
        postgresql_where=sa.text("confirmation_id IS NULL"),
    )
