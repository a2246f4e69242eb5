"""Reminders of single students, and codes for the reasons of attestations"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

REASONS = (
    "non_face_route",
    "phone_broken",
    "no_smartphone",
    "camera_broken",
    "new_phone",
    "face_unsure",
    "position_unsure",
    "disability",
    "other",
)


def upgrade() -> None:
    op.add_column("reminder", sa.Column("student_ids", sa.ARRAY(sa.Uuid()), nullable=True))
    # Every attestation before had its reason as a text.
    op.add_column(
        "attestation", sa.Column("reason_code", sa.String(), nullable=False, server_default="other")
    )
    op.alter_column("attestation", "reason_code", server_default=None)
    codes = ", ".join(f"'{each}'" for each in REASONS)
    op.create_check_constraint(op.f("ck_attestation_reason_code"), "attestation", f"reason_code IN ({codes})")
