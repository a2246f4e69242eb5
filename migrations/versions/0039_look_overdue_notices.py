"""An overdue review of looks is reported once for each person and roll call"""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_look_notice_kind"), "look_notice", type_="check")
    op.create_check_constraint(
        op.f("ck_look_notice_kind"), "look_notice", "kind IN ('waiting', 'expiring', 'review_overdue')"
    )
