"""Sign-in: known devices, counters of failed attempts, and the sign-in log"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import (
    APP_ROLE,
    force_row_level_security,
    protect_ledger_table,
    protect_org_table,
)
from migrations.sql_files import create_definer_functions

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_device_table()
    _extend_sessions()
    _create_throttle_table()
    _create_log_table()
    create_definer_functions("count_attempt", "forget_attempt", "record_sign_in", "purge_sign_ins")


def _create_device_table() -> None:
    op.create_table(
        "sign_in_device",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("used_at", TIMESTAMP, nullable=False),
        sa.Column("revoked_at", TIMESTAMP, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_sign_in_device_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_device")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_in_device_token_hash")),
    )
    own = "account_id = (SELECT tenancy.account())"
    force_row_level_security("sign_in_device", "SELECT, INSERT, UPDATE (used_at, revoked_at)")
    op.execute(f"CREATE POLICY own_device ON sign_in_device TO {APP_ROLE} USING ({own}) WITH CHECK ({own})")


def _extend_sessions() -> None:
    op.add_column("staff_session", sa.Column("used_at", TIMESTAMP, nullable=True))
    op.execute("UPDATE staff_session SET used_at = created_at")
    op.alter_column("staff_session", "used_at", nullable=False)
    op.add_column("staff_session", sa.Column("device_id", sa.Uuid(), nullable=True))
    op.add_column("staff_session", sa.Column("address", sa.String(), nullable=True))
    op.add_column("staff_session", sa.Column("user_agent", sa.String(), nullable=True))
    op.create_foreign_key(
        op.f("fk_staff_session_device_id_sign_in_device"),
        "staff_session",
        "sign_in_device",
        ["device_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index("ix_staff_session_account", "staff_session", ["account_id", "created_at"])


def _create_throttle_table() -> None:
    op.create_table(
        "sign_in_throttle",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("counted_at", TIMESTAMP, nullable=False),
        sa.Column("blocked_until", TIMESTAMP, nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_throttle")),
    )
    op.create_index("ix_sign_in_throttle_counted_at", "sign_in_throttle", ["counted_at"])
    protect_ledger_table("sign_in_throttle", "SELECT")


def _create_log_table() -> None:
    op.create_table(
        "sign_in_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=True),
        sa.Column("known_device", sa.Boolean(), nullable=False),
        sa.Column("delayed_until", TIMESTAMP, nullable=True),
        sa.CheckConstraint(
            "outcome IN ('succeeded', 'refused', 'delayed')", name=op.f("ck_sign_in_event_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_sign_in_event_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_event")),
    )
    op.create_index("ix_sign_in_event_account", "sign_in_event", ["account_id", "id"])
    op.create_index("ix_sign_in_event_at", "sign_in_event", ["at"])
    protect_org_table("sign_in_event", grants="SELECT")
