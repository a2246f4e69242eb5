"""An enrolment may have several templates over time, made of its shots by different engines, but one in use"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("uq_face_template_enrolment_id", "face_template")
    op.create_index(
        "uq_face_template_enrolment",
        "face_template",
        ["enrolment_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('proposed', 'active')"),
    )
