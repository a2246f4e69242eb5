"""Org: the tree of authorities and schools, its terms, and the working-day calendar"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from backend.core.ltree import Ltree
from migrations.row_level_security import APP_ROLE, protect_open_table
from migrations.sql_files import create_definer_functions

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_unit_table()
    _create_term_tables()
    _create_calendar_table()
    _create_term_partitions()


_UNIT_IS_BELOW_CALLER = "(SELECT tenancy.is_wide()) AND {unit_path} <@ (SELECT tenancy.path())"


def _create_unit_table() -> None:
    op.create_table(
        "org_unit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("path", Ltree(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('province', 'city', 'county', 'school')", name=op.f("ck_org_unit_kind")),
        sa.ForeignKeyConstraint(["parent_id"], ["org_unit.id"], name=op.f("fk_org_unit_parent_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_org_unit")),
        sa.UniqueConstraint("kind", "code", name=op.f("uq_org_unit_kind_code")),
        sa.UniqueConstraint("path", name=op.f("uq_org_unit_path")),
    )
    op.create_index("ix_org_unit_path", "org_unit", ["path"], postgresql_using="gist")
    protect_open_table("org_unit", _UNIT_IS_BELOW_CALLER.format(unit_path="path"))


def _create_term_tables() -> None:
    op.create_table(
        "term",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("starts_on < ends_on", name=op.f("ck_term_order")),
        sa.ForeignKeyConstraint(["org_id"], ["org_unit.id"], name=op.f("fk_term_org_id_org_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_term")),
        sa.UniqueConstraint("org_id", "code", name=op.f("uq_term_org_id_code")),
    )
    op.create_table(
        "vacation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("term_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("starts_on <= ends_on", name=op.f("ck_vacation_order")),
        sa.ForeignKeyConstraint(["term_id"], ["term.id"], name=op.f("fk_vacation_term_id_term")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vacation")),
    )
    op.create_index(op.f("ix_vacation_term_id"), "vacation", ["term_id"])
    op.execute(
        "ALTER TABLE term ADD CONSTRAINT ex_term_days EXCLUDE USING gist"
        " (org_id WITH =, daterange(starts_on, ends_on, '[]') WITH &&)"
    )
    path_of_unit = "(SELECT u.path FROM org_unit u WHERE u.id = org_id)"
    protect_open_table("term", _UNIT_IS_BELOW_CALLER.format(unit_path=path_of_unit))
    path_of_term = "(SELECT u.path FROM org_unit u JOIN term t ON t.org_id = u.id WHERE t.id = term_id)"
    protect_open_table("vacation", _UNIT_IS_BELOW_CALLER.format(unit_path=path_of_term))
    # A school may also open terms of its own.
    unit_of_term = "(SELECT t.org_id FROM term t WHERE t.id = term_id)"
    for table, unit in (("term", "org_id"), ("vacation", unit_of_term)):
        op.execute(
            f"CREATE POLICY school_can_insert ON {table} FOR INSERT TO {APP_ROLE}"
            f" WITH CHECK ((SELECT tenancy.student()) IS NULL AND {unit} = (SELECT tenancy.school()))"
        )


def _create_calendar_table() -> None:
    op.create_table(
        "calendar_year",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("days", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("loaded_by", sa.Uuid(), nullable=True),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_calendar_year")),
    )
    is_province = "(SELECT tenancy.is_wide()) AND nlevel((SELECT tenancy.path())) = 1"
    protect_open_table("calendar_year", is_province)


def _create_term_partitions() -> None:
    """Opening a term creates its partition of every table partitioned by term (see `migrations/partitioning.py`)."""
    op.execute("CREATE SCHEMA term_partition")
    create_definer_functions("tables_partitioned_by_term", "term_partition", callable_by_app=False)
    create_definer_functions("missing_term_partitions", "create_missing_term_partitions")
    create_definer_functions("create_partitions_of_new_terms", callable_by_app=False)
    op.execute(
        "CREATE TRIGGER create_partitions AFTER INSERT OR UPDATE OF code ON term"
        " FOR EACH STATEMENT EXECUTE FUNCTION definer.create_partitions_of_new_terms()"
    )
    # ALWAYS: also when rows are restored with session_replication_role = replica.
    op.execute("ALTER TABLE term ENABLE ALWAYS TRIGGER create_partitions")
