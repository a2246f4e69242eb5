"""Legal records name the link of a guardian who filed them"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

TABLES = ("reason_claim", "prompt_statement", "appeal_filed")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("guardian_link_id", sa.Uuid(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_{table}_guardian_link_id_guardian_link"),
            table,
            "guardian_link",
            ["guardian_link_id"],
            ["id"],
        )
        op.create_index(
            f"ix_{table}_guardian_link",
            table,
            ["guardian_link_id"],
            postgresql_where=sa.text("guardian_link_id IS NOT NULL"),
        )
    op.create_check_constraint(
        op.f("ck_appeal_filed_guardian_link"),
        "appeal_filed",
        "guardian_link_id IS NULL OR appellant = 'student'",
    )
