"""Looks at the positions of check-ins are recorded with the looks at pictures"""

from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_picture_view_kind"), "picture_view", type_="check")
    op.create_check_constraint(
        op.f("ck_picture_view_kind"),
        "picture_view",
        "kind IN ('frame', 'enrolment_shot', 'rebinding_shot', 'portrait', 'positions')",
    )
