"""Passkeys of staff, and the challenges that were answered"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import APP_ROLE, force_row_level_security, protect_ledger_table
from migrations.sql_files import create_definer_functions

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "passkey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("aaguid", sa.String(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("used_at", TIMESTAMP, nullable=True),
        sa.Column("removed_at", TIMESTAMP, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_passkey_account_id_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    op.create_index("ix_passkey_account", "passkey", ["account_id", "created_at"])
    own = "account_id = (SELECT tenancy.account())"
    force_row_level_security(
        "passkey", "SELECT, INSERT, UPDATE (name, sign_count, backed_up, used_at, removed_at)"
    )
    op.execute(f"CREATE POLICY own_passkey ON passkey TO {APP_ROLE} USING ({own}) WITH CHECK ({own})")
    op.create_table(
        "answered_challenge",
        sa.Column("challenge_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("challenge_hash", name=op.f("pk_answered_challenge")),
    )
    op.create_index("ix_answered_challenge_at", "answered_challenge", ["at"])
    protect_ledger_table("answered_challenge")
    create_definer_functions("find_passkey", "purge_answered_challenges", "end_staff_sessions.v2")
