"""Core: the tenant scope, events, the audit, availability, and the job queue"""

import sqlalchemy as sa
from alembic import op
from procrastinate import App, PsycopgConnector
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import (
    APP_ROLE,
    force_row_level_security,
    protect_ledger_table,
    protect_open_table,
)
from migrations.sql_files import run_sql_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql_file("tenancy.sql")
    op.execute("CREATE SCHEMA definer")
    op.execute(f"GRANT USAGE ON SCHEMA definer TO {APP_ROLE}")
    _create_event_tables()
    _create_audit_tables()
    _create_availability_tables()
    _create_job_queue()


def _create_event_tables() -> None:
    op.create_table(
        "outbox_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_event")),
    )
    op.create_table(
        "outbox_delivery",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.String(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "consumer", name=op.f("pk_outbox_delivery")),
    )
    protect_ledger_table("outbox_event")
    protect_ledger_table("outbox_delivery")


def _create_audit_tables() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acting_account", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("org_path", sa.String(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "audit_seal",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_seal_entry_id")),
    )
    protect_ledger_table("audit_seal")
    # Any scope may add an entry; only the unit that it concerns and its superiors may read it.
    force_row_level_security("audit_entry", "SELECT, INSERT")
    op.execute(f"CREATE POLICY can_insert ON audit_entry FOR INSERT TO {APP_ROLE} WITH CHECK (true)")
    op.execute(
        f"CREATE POLICY can_select ON audit_entry FOR SELECT TO {APP_ROLE}"
        " USING (CAST(org_path AS ltree) <@ (SELECT tenancy.path()))"
    )


def _create_availability_tables() -> None:
    op.create_table(
        "service_heartbeat",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("minute", name=op.f("pk_service_heartbeat")),
    )
    op.create_table(
        "service_overload",
        sa.Column("second", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("second", name=op.f("pk_service_overload")),
    )
    protect_open_table("service_heartbeat", "true", "SELECT, INSERT")
    protect_open_table("service_overload", "true", "SELECT, INSERT, UPDATE (rejected)")


def _create_job_queue() -> None:
    """The tables of procrastinate, by its own schema."""
    schema = SchemaManager(App(connector=PsycopgConnector()).connector).get_schema()
    op.get_bind().connection.cursor().execute(schema)
    op.execute(
        f"""
        GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_events,
          procrastinate_periodic_defers, procrastinate_workers TO {APP_ROLE};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE};
        """
    )
