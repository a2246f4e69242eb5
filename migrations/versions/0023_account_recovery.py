"""Account recovery: resets of a second factor by two persons, and ending the sessions of an account"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect_org_table
from migrations.sql_files import create_definer_functions

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "authenticator_reset",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint(
            "requested_by <> account_id", name=op.f("ck_authenticator_reset_by_another_account")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_authenticator_reset_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authenticator_reset")),
    )
    op.create_index("ix_authenticator_reset_account", "authenticator_reset", ["account_id", "id"])
    op.create_table(
        "authenticator_reset_decision",
        sa.Column("reset_id", sa.Uuid(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.CheckConstraint(
            "decided_by <> requested_by", name=op.f("ck_authenticator_reset_decision_two_persons")
        ),
        sa.CheckConstraint(
            "outcome IN ('approved', 'refused')", name=op.f("ck_authenticator_reset_decision_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["reset_id"],
            ["authenticator_reset.id"],
            name=op.f("fk_authenticator_reset_decision_reset_id_authenticator_reset"),
        ),
        sa.PrimaryKeyConstraint("reset_id", name=op.f("pk_authenticator_reset_decision")),
    )
    protect_org_table("authenticator_reset", grants="SELECT, INSERT")
    protect_org_table("authenticator_reset_decision", grants="SELECT, INSERT")
    create_definer_functions("end_staff_sessions", "ended_sessions")
