"""Indexes for the search of the audit log, and for lists of staff among a million students' accounts"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_entry_at", "audit_entry", ["at", "id"])
    op.create_index("ix_audit_entry_unit", "audit_entry", ["org_path", "at", "id"])
    op.create_index(
        "ix_audit_entry_subject",
        "audit_entry",
        ["subject_id", "at"],
        postgresql_where=sa.text("subject_type <> 'outcome' OR acting_account IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_entry_account",
        "audit_entry",
        ["acting_account", "at", "id"],
        postgresql_where=sa.text("acting_account IS NOT NULL"),
    )
    op.create_index(
        "ix_audit_entry_action",
        "audit_entry",
        ["action", "at", "id"],
        postgresql_where=sa.text("action <> 'outcome.write'"),
    )
    op.create_index("ix_account_staff", "account", ["id"], postgresql_where=sa.text("kind <> 'student'"))
